"""The contract of a loss: one adversarial game, on D's logits.

A loss is one file with one frozen dataclass that extends `Loss`; its fields are the parameters
that a suite sets, with their ranges. Importing this module imports no torch: `lipbench losses`
lists losses without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import ConfigDict

from lipbench import parameterized

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Loss:
    """What D minimises and what G minimises. Fields are the parameters.

    A subclass must say its `source` (paper, equation) and give both functions. `papers` are keys
    of a `references.bib` beside the file, or BibTeX entries; they are read without importing it.
    """

    source: ClassVar[str] = ""
    title: ClassVar[str] = ""  # in a sentence: "the hinge loss"; empty: its name
    papers: ClassVar[tuple[str, ...]] = ()
    needs_real: ClassVar[bool] = False
    """Whether G's step needs D's logits of real images: they cost a pass of D, and are computed
    for a loss that says so only."""

    paired: ClassVar[bool] = False
    """Whether it pairs images: then D's and G's batches must have the same size."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )

    @classmethod
    def refuse_traps(cls) -> None:
        """Raise TypeError for a class that is no loss yet, as when its file is loaded."""
        parameterized.refuse_traps(cls, Loss, ("discriminator", "generator"))
        if not cls.source:
            raise TypeError(
                f"{cls.__name__} has no source: write the paper and its equation, or 'our choice'"
            )
        for name in ("needs_real", "paired"):
            if not isinstance(getattr(cls, name), bool):
                raise TypeError(f"{cls.__name__}.{name} should be True or False")

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return D's loss, a scalar, of the logits (B,) of real and of generated images."""
        raise NotImplementedError

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None) -> Tensor:
        """Return G's loss, a scalar, of the logits (B,) of generated images.

        `real_logits` (B',) are those of the updated D of its last real batch, without a graph;
        None unless `needs_real`.
        """
        raise NotImplementedError


def softplus(logits: Tensor) -> Tensor:
    """Return log(1 + exp(logits)), which is -log D for negated logits."""
    from torch.nn import functional

    return functional.softplus(logits)
