"""Evaluate D over the plane, where samples are points of two values."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from lipbench.data import Split
from lipbench.discriminators import gradient
from lipbench.rest import at_rest, baked, undisturbed
from lipbench.runs import pictures
from lipbench.runs.plane import Plane
from lipbench.training import batches

GRID, ARROWS = 81, 13  # places of a side for the logits, and for the gradients: our choice
REAL = 400  # real points at most: our choice
_BATCH = 2048


def plane(discriminator: nn.Module, generated: Tensor, data: Split, seed: int) -> Plane | None:
    """Return D over the plane, with generated points (K, 2) and some of the real ones.

    D is a copy at rest, in eval mode; nothing of the run changes. The square is that of the
    pictures of points, so it is the same for all runs on the same data. Returns None where a
    sample is no point of two values, or where a value is not finite.
    """
    if data.shape != (2,):
        return None
    device = data.device
    (x, y), (arrows_x, arrows_y) = (_sides(data.samples, count) for count in (GRID, ARROWS))
    with undisturbed(device, seed):
        network = baked(at_rest(discriminator))
        logits, _ = _at(network, _places(x, y).to(device))
        _, gradients = _at(network, _places(arrows_x, arrows_y).to(device))
    found = Plane(
        x=_array(x),
        y=_array(y),
        logits=_array(logits.reshape(GRID, GRID)),
        arrows_x=_array(arrows_x),
        arrows_y=_array(arrows_y),
        gradients=_array(gradients.reshape(ARROWS, ARROWS, 2)),
        generated=_array(generated),
        real=_array(batches.network_inputs(data.at(_spread(data.labels)))),
    )
    return found if found.is_finite else None


def _sides(real: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return evenly spaced values along the two sides of the square around real points."""
    centre, half = pictures.square(real)
    steps = torch.linspace(-half, half, count, dtype=torch.float64)
    return (centre[0] + steps).float(), (centre[1] + steps).float()


def _places(x: Tensor, y: Tensor) -> Tensor:
    """Return the points (N, 2) of a grid, row by row: x runs fastest."""
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([columns, rows], dim=-1).reshape(-1, 2)


def _at(network: nn.Module, points: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits (N,) and the gradients (N, 2) at points (N, 2)."""
    parts = [gradient(network, batch) for batch in points.split(_BATCH)]
    logits, gradients = (torch.cat(values).detach() for values in zip(*parts, strict=True))
    return logits.flatten(), gradients


def _spread(labels: Tensor) -> Tensor:
    """Return the places of at most REAL samples, as many of each label as there is room for."""
    order = torch.argsort(labels, stable=True)
    chosen = torch.linspace(0, len(order) - 1, min(REAL, len(order)), dtype=torch.float64)
    return order[chosen.round().long().to(order.device)]


def _array(values: Tensor) -> np.ndarray:
    return values.float().cpu().numpy()
