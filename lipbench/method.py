"""The contract of a method: what a plugin file defines, and nothing else is asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple, dataclass_transform

from annotated_types import Ge, Gt
from pydantic import ConfigDict
from torch import Tensor, nn

from lipbench.discriminators import Discriminator

__all__ = ["Batch", "Claim", "Count", "Method", "NonNegative", "Positive", "Recipe", "Requires"]

Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Count = Annotated[int, Ge(1)]


class Batch(NamedTuple):
    """What one update of D sees: images of shape (B, C, H, W) in [-1, 1]; labels (B,) or None."""

    real: Tensor
    fake: Tensor
    real_labels: Tensor | None = None
    fake_labels: Tensor | None = None


@dataclass(frozen=True)
class Recipe:
    """The Adam setting that a method's own paper or code recommends; see `settings: [recipe]`."""

    lr: float
    beta1: float
    beta2: float
    n_dis: int


@dataclass(frozen=True)
class Requires:
    """What a method cannot do without. A suite that says otherwise is refused when it is read."""

    loss: str | None = None


@dataclass(frozen=True)
class Claim:
    """A bound that a method promises on each of D's layers; audits hold it to that.

    `sigma_kernel` is the largest singular value of the weight reshaped to (outputs, rest).
    """

    sigma_kernel: float
    tolerance: float


@dataclass_transform(frozen_default=True)
@dataclass(frozen=True)
class Method:
    """One way of controlling a discriminator. The base class constrains nothing.

    A subclass is a frozen dataclass without being decorated: its annotated attributes are the
    hyperparameters that a suite can set, checked against their types and ranges (`Positive`,
    `NonNegative`, `Count`) when the suite is read. It overrides only the hooks that it needs,
    listed here in the order in which training calls them. It keeps no state: what must persist
    is a buffer of the discriminator, so checkpoints hold it. Hooks run with the global random
    generator seeded for the update, so plain `torch.rand` is right, and reproducible, in them.
    """

    label: ClassVar[str]
    requires: ClassVar[Requires] = Requires()
    recipe: ClassVar[Recipe | None] = None

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False
    )

    def __init_subclass__(cls) -> None:
        _refuse_traps(cls)
        dataclass(frozen=True)(cls)

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Return what the method, with these hyperparameters, promises."""
        return ()

    def norm(self, channels: int) -> nn.Module:
        """Return the layer that normalizes a hidden layer of D, (B, channels, H, W) in and out.

        Called once for each convolution of D but the first; the layer stands between the
        convolution and its activation.
        """
        return nn.Identity()

    def wrap(self, discriminator: Discriminator) -> Discriminator:
        """Return the D to train: the same one, reparametrized in place, or a module around it.

        Called once, after initialisation and before the optimizers are made.
        """
        return discriminator

    def penalty(self, discriminator: Discriminator, batch: Batch) -> Tensor:
        """Return the scalar to add to D's loss at each of its updates."""
        return batch.real.new_zeros(())

    def project(self, discriminator: Discriminator) -> None:
        """Move D's weights back into the constraint set, after each step of D's optimizer.

        Called under `torch.no_grad()`. An in-place change of a reparametrized `.weight` would do
        nothing: change `lipbench.discriminators.original(layer)`.
        """


def _refuse_traps(cls: type[Method]) -> None:
    """Raise TypeError for what a dataclass would silently get wrong."""
    own: Mapping[str, Any] = vars(cls)
    annotated = own.get("__annotations__", {})
    for name, value in own.items():
        is_field = not name.startswith("_") and not callable(value)
        if is_field and not isinstance(value, (staticmethod, classmethod, property)):
            if name not in annotated and not hasattr(Method, name) and name != "label":
                raise TypeError(
                    f"{cls.__name__}.{name} has no annotation, so it would not be a "
                    f"hyperparameter; write `{name}: {type(value).__name__} = {value!r}`"
                )
            if isinstance(value, (list, dict, set)):
                raise TypeError(f"{cls.__name__}.{name} has a mutable default: {value!r}")
    if not isinstance(getattr(cls, "label", None), str):
        raise TypeError(f"{cls.__name__} has no label, the short name that legends show")
    if not (own.get("__doc__") or "").strip():
        raise TypeError(f"{cls.__name__} has no docstring; say what it does, and its paper")
