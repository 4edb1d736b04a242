"""The audit: measured Lipschitz facts of any discriminator, whatever made it.

    facts = audit(discriminator, real=images, fake=generated)
    facts.lower_bound, facts.upper_bound

What is audited is a copy at rest, in eval mode: no power iteration moves, no running statistics,
and the network, its gradients and the random generators stay as they were, bit for bit.

A module can take part in the upper bound by saying what a theorem has proven of it, in an
attribute: `lipschitz: float`, a constant of all that it does with one image (Euclidean), or
`affine_map = True`, that it is an affine map, whose norm the audit then measures. Both are taken
at their word where they cannot be refuted; a bound below a slope that was found is not given.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace

import torch
from torch import Tensor, nn

from lipbench.audit import layers
from lipbench.audit.attack import attack
from lipbench.audit.bound import UpperBound, agree, kernel_product, upper_bound
from lipbench.audit.domain import Domain
from lipbench.audit.facts import Distribution, Factor, Facts, Layer, Saturation
from lipbench.audit.gradients import (
    NonFiniteDiscriminator,
    Slopes,
    between,
    logits,
    require_finite,
    slopes,
)
from lipbench.audit.saturation import saturation
from lipbench.errors import UserError
from lipbench.loss import Loss
from lipbench.rest import at_rest, baked, in_float64, undisturbed

__all__ = [
    "Distribution",
    "Factor",
    "Facts",
    "Layer",
    "NonFiniteDiscriminator",
    "Saturation",
    "audit",
]

GRID = 64  # points of a side, where the gradient is taken everywhere: our choice


def audit(
    discriminator: nn.Module,
    real: Tensor,
    fake: Tensor | None = None,
    heldout: Tensor | None = None,
    loss: Loss | None = None,
    seed: int = 0,
    attack_steps: int = 40,
) -> Facts:
    """Return the facts of a discriminator, on images (N, C, H, W) in [-1, 1], or points (N, D).

    It maps them to logits (B,) or (B, 1), on the device that they are on. `real` are images that
    it trains on, `heldout` real ones that it does not, `fake` generated ones. `loss`, with
    `fake`, adds D's losses; `attack_steps` 0 leaves out the attack. Layers and bounds are
    measured in float64, and so is the steepest place of those that are searched in the network's
    own precision. Steep places are searched among all images, or in the smallest box that holds
    the points given; where those have two values, on a regular grid too.

    Raises UserError for images of another form, and NonFiniteDiscriminator, which is one too, for
    a discriminator whose weights, logits or gradients are not finite.
    """
    begin = time.perf_counter()
    sets = _named(real=real, fake=fake, heldout=heldout)
    _check(discriminator, sets)
    with undisturbed(real.device, seed):
        network = at_rest(discriminator)
        exact = in_float64(discriminator)
        _check_logits(network, torch.cat([real[:1], real[-1:]]))  # not one: `squeeze()` drops it
        seen = _slopes(baked(network), sets, seed)
        found = {name: seen[name].logits if name in seen else logits(network, images)
                 for name, images in sets.items()}  # fmt: skip
        _check_finite(found, seen)
        one = torch.zeros_like(real[:1], dtype=torch.float64)
        measured = layers.measured(exact, one)
        exact = baked(exact)
        per_image = _per_image(exact, real)
        domain = Domain.of(sets.values())
        lower = _lower_bounds(network, exact, seen, attack_steps, domain) if per_image else {}
        highest = max(lower.values(), default=None)
        upper = _unrefuted(upper_bound(exact, one, measured), highest)
        return Facts(
            layers=measured,
            factors=upper.factors,
            upper_bound=upper.constant,
            no_upper_bound=upper.reasons,
            upper_bound_kernel=kernel_product(exact, one, measured),
            per_image=per_image,
            lower_bounds=lower,
            lower_bound=highest,
            tightness=highest / upper.constant if highest is not None and upper.constant else None,
            gradient_norms={name: Distribution.of(where.norms) for name, where in seen.items()},
            saturation=saturation(network, list(sets.values())),
            logits={
                "train" if name == "real" else name: Distribution.of(values)
                for name, values in found.items()
            },
            overfitting_gap=_gap(found),
            loss_train=_loss(loss, found, "real"),
            loss_heldout=_loss(loss, found, "heldout"),
            counts={name: len(sets.get(name, ())) for name in ("real", "fake", "heldout")},
            seconds=time.perf_counter() - begin,
        )


def _named(**images: Tensor | None) -> dict[str, Tensor]:
    return {name: given for name, given in images.items() if given is not None}


def _check(discriminator: nn.Module, sets: dict[str, Tensor]) -> None:
    weights = [*discriminator.parameters(), *discriminator.buffers()]
    for name, images in sets.items():
        if any(images.device != weight.device for weight in weights):
            raise UserError(
                f"{name} is on {images.device}, the discriminator on {weights[0].device}"
            )
        if images.dim() not in (2, 4) or not images.is_floating_point() or not len(images):
            raise UserError(
                f"{name} should be images (N, C, H, W) of floats, N at least 1, or points (N, D), "
                f"not {images.dtype} of shape {tuple(images.shape)}"
            )
        are_images = images.dim() == 4
        if not images.isfinite().all():
            wanted = "images in [-1, 1]" if are_images else "finite points"
            raise UserError(f"{name} should be {wanted}, but they hold inf or nan")
        if are_images and images.abs().max() > 1 + 1e-4:
            raise UserError(
                f"{name} should be images in [-1, 1], not "
                f"[{images.min().item():g}, {images.max().item():g}]"
            )
        if images.shape[1:] != sets["real"].shape[1:]:
            raise UserError(
                f"{name} has samples of shape {tuple(images.shape[1:])}, "
                f"real of {tuple(sets['real'].shape[1:])}"
            )
    if not all(weight.isfinite().all() for weight in weights):
        raise NonFiniteDiscriminator(
            "the discriminator has weights that are not finite: it has diverged"
        )


@torch.no_grad()
def _check_logits(network: nn.Module, images: Tensor) -> None:
    found, count = network(images), len(images)
    if not isinstance(found, Tensor) or found.shape not in ((count,), (count, 1)):
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise UserError(
            "a discriminator should map images (B, C, H, W) to logits (B,) or (B, 1); "
            f"this one maps {count} to {shape}"
        )


def _check_finite(found: dict[str, Tensor], seen: dict[str, Slopes]) -> None:
    for name, values in found.items():
        require_finite(values, f"logits of {name}")
    for name, where in seen.items():
        require_finite(where.logits, f"logits of {name}")
        require_finite(where.norms, f"gradients at {name}")


@torch.no_grad()
def _per_image(exact: nn.Module, images: Tensor) -> bool:
    """Return whether an image's logit is its own, whatever else its batch holds, and where."""
    one = images[:1].double()
    rest = torch.rand(3, *one.shape[1:], dtype=one.dtype, device=one.device) * 2 - 1
    batch = torch.cat([one, rest])
    alone = torch.cat([exact(image).flatten() for image in batch.split(1)])
    among, reversed_ = exact(batch).flatten(), exact(batch.flip(0)).flatten().flip(0)
    every = torch.stack([alone, among, reversed_])
    require_finite(every, "logits of random images")
    # Compared at once, so that the spread is that of all: alone, each may have the same logit.
    return agree(every.roll(1, 0), every)


def _unrefuted(upper: UpperBound, highest: float | None) -> UpperBound:
    """Return an upper bound, or none where what was found of the network is against it."""
    if upper.constant is None:
        return upper
    if highest is None:
        reason = "refuted: the images of a batch see each other"
    elif highest > upper.constant * (1 + 1e-6):
        reason = (
            f"refuted: a slope of {highest:.4g} was found, above the {upper.constant:.4g} that "
            "the constants give"
        )
    else:
        return upper
    # Which of the steps' constants is wrong is not known, so none of their products is shown.
    return UpperBound(None, [reason], [replace(step, constant=None) for step in upper.factors])


def _slopes(network: nn.Module, sets: dict[str, Tensor], seed: int) -> dict[str, Slopes]:
    found = {
        name: Slopes.at(network, images) for name, images in sets.items() if name != "heldout"
    }
    if "fake" in sets:
        mixed = between(sets["real"], sets["fake"], seed)
        found["interpolates"] = Slopes.at(network, mixed)
    return found


def _lower_bounds(
    network: nn.Module,
    exact: nn.Module,
    seen: dict[str, Slopes],
    attack_steps: int,
    domain: Domain,
) -> dict[str, float]:
    """Return what each kind of place shows of the constant, at its steepest."""
    if domain.is_a_plane:
        seen = {**seen, "grid": Slopes.at(network, domain.grid(GRID))}
    found = {
        name: slopes(exact, where.steepest(1).double())[1].item() for name, where in seen.items()
    }
    if attack_steps > 0:
        pairs = (seen["real"], seen["fake"]) if "fake" in seen else None
        found["attack"] = attack(network, exact, list(seen.values()), pairs, attack_steps, domain)
    require_finite(torch.tensor(list(found.values())), "gradients in float64")
    return found


def _gap(found: dict[str, Tensor]) -> float | None:
    if "heldout" not in found:
        return None
    return (found["real"].double().mean() - found["heldout"].double().mean()).item()


def _loss(loss: Loss | None, found: dict[str, Tensor], real: str) -> float | None:
    if loss is None or real not in found or "fake" not in found:
        return None
    value = loss.discriminator(found[real], found["fake"]).item()
    return value if math.isfinite(value) else None
