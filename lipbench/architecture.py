"""The contract of an architecture: a generator and a discriminator for samples of some shapes.

An architecture is one file with one frozen dataclass that extends `Architecture`; its fields are
what a suite says of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge, Le
from pydantic import ConfigDict
from torch import nn

from lipbench import parameterized
from lipbench.errors import UserError, blaming, place_of, shortened, unknown
from lipbench.networks import (
    INITIALISATIONS,
    ChannelLayer,
    Discriminator,
    Generator,
    Labelled,
    Shape,
    given,
)
from lipbench.streams import Latents, Law

__all__ = [
    "Architecture", "ChannelLayer", "Dim", "Discriminator", "Generator", "Labelled", "Latents",
    "Law", "Shape", "Width", "identity", "scaled",
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
    both networks, and name `examples` of shapes for the exam, with `variants`, values of its
    fields that make other networks. It may set a field's default anew.
    `papers` are keys of a `references.bib` beside the file, or BibTeX entries; they and the title
    are read without importing it.
    """

    title: ClassVar[str] = ""  # in a sentence: "the standard CNN"; empty: its name
    papers: ClassVar[tuple[str, ...]] = ()
    shapes: ClassVar[str] = ""  # "images of 16, 32 or 48 pixels"
    examples: ClassVar[tuple[Shape, ...]] = ()
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ()
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
        if not cls.shapes:
            raise TypeError(f"{cls.__name__} has no shapes: which samples it makes, in words")
        if cls.initialisation not in INITIALISATIONS:
            told = unknown("initialisation", cls.initialisation, INITIALISATIONS)
            raise TypeError(f"{cls.__name__}: {told}")

    @property
    def is_conditional(self) -> bool:
        """Return whether its networks need the labels of samples, with these fields."""
        return False

    def classes_of(self, count: int) -> int:
        """Return of how many classes its networks get labels, where the data has so many."""
        return count if self.is_conditional else 0

    @property
    def latents(self) -> Latents:
        """Return the dimension and law of the latents that its generators turn into samples."""
        return Latents(self.latent_dim, self.latent_law)

    def latents_of(self, classes: int) -> Latents:
        """Return these with a label of so many classes beside each; 0: without."""
        return replace(self.latents, classes=classes)

    def takes(self, shape: Shape) -> bool:
        """Return whether it makes samples of a shape: (C, H, W) of an image, (D,) of a point."""
        raise NotImplementedError

    def generator(self, shape: Shape, classes: int = 0) -> Generator:
        """Return a new generator of samples of a shape that it takes.

        `classes` is how many classes the labels have that it gets; 0: none, it is unconditional.
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


def require_networks(architecture: Architecture, shape: Shape, classes: int = 0) -> None:
    """Raise UserError where its networks for a shape cannot be built, or compute other shapes.

    They are tried on torch's meta device, which draws and stores no weights, or on the CPU where
    that device does not suffice.
    """
    for name in ("generator", "discriminator"):
        try:
            wrong = _misfit(architecture, name, shape, classes, "meta")
        except Exception:
            wrong = _misfit_on_cpu(architecture, name, shape, classes)
        if wrong:
            raise UserError(f"{name} returned {wrong}", place_of(getattr(architecture, name)))


def _misfit(architecture: Architecture, name: str, shape: Shape, classes: int, device: str) -> str:
    """Return in what a network does not fit a shape; nothing where it fits."""
    is_generator = name == "generator"
    latents = architecture.latents_of(classes)
    inputs, outputs = ((latents.columns,), shape) if is_generator else (shape, ())
    base: type[nn.Module] = Generator if is_generator else Discriminator
    with torch.device(device), torch.no_grad():
        network = getattr(architecture, name)(shape, classes)
        if not isinstance(network, base):
            return f"{shortened(network)}, which is no {base.__name__}"
        labels = torch.zeros(2, dtype=torch.long) if classes and not is_generator else None
        with given(network, labels):
            found = network.eval()(torch.zeros(2, *inputs))
    if found.shape == (2, *outputs):
        return ""
    return (
        f"a network with outputs of shape {tuple(found.shape)} for 2 inputs, not {(2, *outputs)}"
    )


def _misfit_on_cpu(architecture: Architecture, name: str, shape: Shape, classes: int) -> str:
    """Return the same, on the CPU. Raises UserError with the line of what fails there, too."""
    with blaming(getattr(architecture, name), f" for {shape}"):
        return _misfit(architecture, name, shape, classes, "cpu")
