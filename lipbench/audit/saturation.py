"""How much of an activation layer passes little on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lipbench.audit.facts import Saturation
from lipbench.audit.gradients import BATCH
from lipbench.audit.layers import runs_as

# Elementwise, each: a unit's derivative is by its own input.
_ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.SiLU,
    nn.GELU, nn.Mish, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Tanh, nn.Sigmoid, nn.Softplus,
    nn.Softsign, nn.LogSigmoid, nn.Tanhshrink, nn.Softshrink, nn.Hardshrink, nn.Threshold,
)  # fmt: skip

Use = tuple[str, int]  # a module's name, and how often it was used before in the same pass


def saturation(network: nn.Module, images: list[Tensor]) -> list[Saturation]:
    """Return how saturated each of a network's activation layers is on images (N, C, H, W).

    A unit is saturated on an image where its activation's derivative is at most half of the
    largest that was seen in its layer, in magnitude (our choice): the negative side of ReLU and
    LeakyReLU, the tails of a sigmoid. `share` is that of (image, unit) pairs, `dead` that of
    units that are so on every image. In the order of their use, a module used again as name#2.

    Of torch's elementwise activations as modules; calls of functions are not seen.
    """
    largest: dict[Use, float] = {}
    saturated: dict[Use, Tensor] = {}

    def note_largest(use: Use, slopes: Tensor) -> None:
        largest[use] = max(largest.get(use, 0.0), slopes.max().item())

    def count(use: Use, slopes: Tensor) -> None:
        found = (slopes <= largest[use] / 2).sum(0)
        saturated[use] = saturated[use] + found if use in saturated else found

    _watch(network, images, note_largest)
    _watch(network, images, count)
    total = sum(map(len, images))
    return [
        Saturation(
            name if again == 0 else f"{name}#{again + 1}",
            share=counts.double().mean().item() / total,
            dead=(counts == total).double().mean().item(),
        )
        for (name, again), counts in saturated.items()
    ]


def _watch(
    network: nn.Module, images: list[Tensor], note: Callable[[Use, Tensor], None]
) -> None:
    """Pass images through a network, and note each activation's slopes (B, ...) by its input."""
    names = {module: name for name, module in network.named_modules()}
    used: dict[str, int] = {}

    def hook(module: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        name = names[module]
        used[name] = used.get(name, -1) + 1
        note((name, used[name]), _slopes(module, inputs[0]))

    with contextlib.ExitStack() as stack:
        for module in names:
            if any(runs_as(module, activation) for activation in _ACTIVATIONS):
                stack.enter_context(module.register_forward_hook(hook))
        for batch in (batch for group in images for batch in group.split(BATCH)):
            used.clear()
            with torch.no_grad():
                network(batch)


def _slopes(module: nn.Module, inputs: Tensor) -> Tensor:
    """Return the magnitudes of an elementwise module's derivatives, of the inputs' shape."""
    with torch.enable_grad():
        leaf = inputs.detach().clone().requires_grad_()
        # Its `forward`: the hook that asks for this is on its call.
        (slopes,) = torch.autograd.grad(module.forward(leaf).sum(), leaf)
    return slopes.abs()
