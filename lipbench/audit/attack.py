"""A search for steep places of a network: a lower bound of its Lipschitz constant."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lipbench.audit.domain import Domain
from lipbench.audit.gradients import Slopes, logits, slopes
from lipbench.discriminators import gradient

# All of these are our choice.
_STARTS = 4  # of each of the two kinds
# Lengths are those of images: of other domains, in halves of its widest side.
_STEP = 0.05  # of Adam, a pixel, at first; it falls linearly to 0
_NEAR = 0.01  # deviation of a pixel between the ends of a pair started along a gradient
_NEAREST = 0.001  # nearer ends are too near for a quotient in float32


def attack(
    network: nn.Module,
    exact: nn.Module,
    seen: list[Slopes],
    pairs: tuple[Slopes, Slopes] | None,
    steps: int,
    domain: Domain,
) -> float:
    """Return the largest quotient |D(x) - D(y)| / |x - y|, or gradient norm, found in a domain.

    Start at the steepest images seen, each with a point near it along its gradient, and at the
    pairs of a real image and a generated one with the largest quotients. Ascend
    log |D(x) - D(y)| - log |x - y| by Adam, within the domain.
    Where D is piecewise linear, the gradient of a gradient's norm is 0 almost everywhere; that of
    this quotient is not, and draws the ends to where D rises between them.

    The search is in the network's precision; what it found is measured on `exact`, the same
    network in float64.
    """
    starts = [_along_gradients(network, seen, domain)]
    if pairs is not None:
        starts.append(_steepest_pairs(*pairs))
    x, y = (torch.cat(ends) for ends in zip(*starts, strict=True))
    apart, place = _ascend(network, x, y, steps, domain)
    x, y = (end.double() for end in apart)
    quotients = _quotients(x, y, logits(exact, x), logits(exact, y))
    norms = slopes(exact, place.double())[1]
    return torch.cat([quotients, norms]).max().item()  # nan where one is


class _Kept:
    """For each start, the images with the largest value so far."""

    def __init__(self, *images: Tensor) -> None:
        self.values = images[0].new_full((len(images[0]),), -torch.inf)
        self.images = images

    def offer(self, values: Tensor, *images: Tensor) -> None:
        """Keep these images where their values are larger."""
        better = values > self.values
        self.values = torch.where(better, values, self.values)
        self.images = tuple(
            torch.where(_column(better, new), new, old)
            for new, old in zip(images, self.images, strict=True)
        )


def _ascend(
    network: nn.Module, x: Tensor, y: Tensor, steps: int, domain: Domain
) -> tuple[tuple[Tensor, ...], Tensor]:
    """Return each start's best pair, and the steepest image that it visited."""
    x, y = x.clone(), y.clone()
    nearest, length = _distance(_NEAREST, domain, x), _STEP * domain.half
    optimizer = torch.optim.Adam([x, y], lr=length)
    apart, place = _Kept(x, y), _Kept(x)
    for step in range(steps + 1):
        values, gradients = (part.detach() for part in gradient(network, torch.cat([x, y])))
        (at_x, at_y), (by_x, by_y) = values.flatten().chunk(2), gradients.chunk(2)
        distances = (x - y).flatten(1).norm(dim=1)
        far = distances > nearest
        apart.offer(torch.where(far, _quotients(x, y, at_x, at_y), -1), x, y)
        place.offer(by_x.flatten(1).norm(dim=1), x)
        place.offer(by_y.flatten(1).norm(dim=1), y)
        if step == steps:
            break
        rise = _column(at_x - at_y, x)
        rise = torch.where(rise == 0, torch.inf, rise)  # a flat pair is only drawn together
        pull = (x - y) / _column(distances, x).clamp(min=nearest).square()
        x.grad, y.grad = pull - by_x / rise, by_y / rise - pull  # of the negative, to descend
        optimizer.param_groups[0]["lr"] = length * (1 - step / steps)
        optimizer.step()
        for end in (x, y):
            end.copy_(domain.clamped(end))
    return apart.images, place.images[0]


def _along_gradients(
    network: nn.Module, seen: list[Slopes], domain: Domain
) -> tuple[Tensor, Tensor]:
    steep = torch.cat([slopes.steepest(_STARTS) for slopes in seen])
    gradients = gradient(network, steep)[1].detach()
    norms = _column(gradients.flatten(1).norm(dim=1), steep)
    chosen = norms.flatten().topk(min(_STARTS, len(norms))).indices
    steep, gradients, norms = steep[chosen], gradients[chosen], norms[chosen]
    step = gradients / torch.where(norms > 0, norms, 1) * _distance(_NEAR, domain, steep)
    up, down = domain.clamped(steep + step), domain.clamped(steep - step)
    far_up, far_down = ((end - steep).flatten(1).norm(dim=1) for end in (up, down))
    blocked = _column(far_up < far_down, steep)
    return steep, torch.where(blocked, down, up)


def _steepest_pairs(real: Slopes, fake: Slopes) -> tuple[Tensor, Tensor]:
    count = min(len(real.images), len(fake.images))
    x, y = real.images[:count], fake.images[:count]
    quotients = _quotients(x, y, real.logits[:count], fake.logits[:count])
    chosen = quotients.topk(min(_STARTS, count)).indices
    return x[chosen], y[chosen]


def _quotients(x: Tensor, y: Tensor, at_x: Tensor, at_y: Tensor) -> Tensor:
    """Return |D(x) - D(y)| / |x - y|, 0 where x is y."""
    distances = (x - y).flatten(1).norm(dim=1)
    return (at_x - at_y).abs() / torch.where(distances > 0, distances, torch.inf)


def _distance(deviation: float, domain: Domain, images: Tensor) -> float:
    """Return the distance of two images all of whose pixels differ by so much."""
    return deviation * domain.half * math.sqrt(images[0].numel())


def _column(values: Tensor, like: Tensor) -> Tensor:
    """Return one value a sample so that it can be multiplied with samples."""
    return values.view(-1, *[1] * (like.dim() - 1))
