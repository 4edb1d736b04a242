"""The contract of an architecture: a generator and a discriminator for samples of some shapes.

An architecture is one file with one frozen dataclass that extends `Architecture`; its fields are
what a suite says of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Le
from pydantic import ConfigDict
from torch import nn

from lipbench import parameterized
from lipbench.networks import ChannelLayer, Discriminator, Generator, Shape
from lipbench.streams import Latents, Law

__all__ = [
    "Architecture", "ChannelLayer", "Dim", "Discriminator", "Generator", "Latents", "Law", "Shape",
    "Width", "identity", "scaled",
]  # fmt: skip

Width = Annotated[float, Ge(0.01), Le(64)]
Dim = Annotated[int, Ge(1), Le(65_536)]


def identity(channels: int) -> nn.Module:
    """Return no normalization, for a hidden layer of any number of channels."""
    return nn.Identity()


def scaled(channels: int, width: float) -> int:
    """Return a channel count times the width, rounded, at least 1."""
    return max(1, round(channels * width))


@dataclass(frozen=True)
class Architecture:
    """A pair of networks. Fields are what a suite says of it; these three every one has.

    A subclass must say which `shapes` it makes samples of, in words, and which with `takes`, give
    both networks, and name `examples` of shapes for the exam. It may set a field's default anew.
    `papers` are keys of a `references.bib` beside the file, or BibTeX entries; they and the title
    are read without importing it.
    """

    title: ClassVar[str] = ""  # in a sentence: "the standard CNN"; empty: its name
    papers: ClassVar[tuple[str, ...]] = ()
    shapes: ClassVar[str] = ""  # "images of 16, 32 or 48 pixels"
    examples: ClassVar[tuple[Shape, ...]] = ()
    initialisation: ClassVar[str] = "normal_0.02"
    """A key of `lipbench.networks.INITIALISATIONS`, where a suite names none."""

    width: Width = 1.0  # the factor on all hidden channel counts
    latent_dim: Dim = 128
    latent_law: Law = "normal"

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False
    )

    @classmethod
    def refuse_traps(cls) -> None:
        """Raise TypeError for a class that is no architecture yet, as when its file is loaded."""
        functions = ("takes", "generator", "discriminator")
        parameterized.refuse_traps(cls, Architecture, functions)

    @property
    def latents(self) -> Latents:
        """Return what its generators map to samples."""
        return Latents(self.latent_dim, self.latent_law)

    def takes(self, shape: Shape) -> bool:
        """Return whether it makes samples of a shape: (C, H, W) of an image, (D,) of a point."""
        raise NotImplementedError

    def generator(self, shape: Shape, classes: int = 0) -> Generator:
        """Return a new generator of samples of a shape that it takes.

        `classes` are those of the labels that it is told; 0: none, it is unconditional.
        """
        raise NotImplementedError

    def discriminator(
        self,
        shape: Shape,
        classes: int = 0,
        norm: ChannelLayer = identity,
        activation: ChannelLayer | None = None,
    ) -> Discriminator:
        """Return a new discriminator of such samples.

        `norm` and `activation` are what a method puts into its hidden layers, made from their
        numbers of channels, for (B, channels, H, W) in and out; where no activation is given, the
        architecture's own stands.
        """
        raise NotImplementedError
