"""Whether a dataset has the images that a protocol asks for."""

from __future__ import annotations

import contextlib

from lipbench.data import described, named
from lipbench.errors import UserError
from lipbench.protocols.reader import FITTED
from lipbench.protocols.record import Protocol, Sizes


def check(
    protocol: Protocol,
    n_train: int,
    n_test: int,
    dataset: str | None = None,
    shape: tuple[int, ...] | None = None,
) -> None:
    """Raise UserError if a dataset of these sizes, and of this name if given, cannot be scored.

    Nor can one of samples of another kind than the protocol's scores are of, going by the shape.
    """
    if shape is not None and protocol.scores_points != (named(shape) == "points"):
        scored = "points" if protocol.scores_points else "images"
        raise UserError(
            f"protocol {protocol.name!r} scores {scored}; these are {described(shape)}"
        )
    if dataset is not None and protocol.dataset not in (None, dataset):
        raise UserError(
            f"protocol {protocol.name!r} scores the dataset {protocol.dataset!r} only, "
            f"not {dataset!r}"
        )
    what = "points" if protocol.scores_points else "images"
    needed = {"train": protocol.training_images, "test": 0}
    chosen = protocol.selection
    drawn = protocol.n_real + (chosen.n_real if chosen.split == protocol.real_split else 0)
    needed[protocol.real_split] = max(needed[protocol.real_split], drawn)
    needed[chosen.split] = max(needed[chosen.split], chosen.n_real)
    if n_test < needed["test"] or n_train < needed["train"]:
        raise UserError(
            f"protocol {protocol.name!r} needs {needed['test']:,} test and {needed['train']:,} "
            f"training {what}; the dataset has {n_test:,} and {n_train:,}"
            f"{_smaller(Sizes(n_train, n_test)) if what == 'images' else ''}"
        )


def _smaller(sizes: Sizes) -> str:
    """Return words on the protocols that follow a dataset's sizes, where they take these."""
    fits = []
    for name, make in FITTED.items():
        with contextlib.suppress(UserError):
            make(sizes)
            fits.append(name)
    return f"; `--set protocol={fits[0]}` takes its counts from the dataset" if fits else ""
