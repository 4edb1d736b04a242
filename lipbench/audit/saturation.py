"""How much of an activation layer passes little on."""

from __future__ import annotations

import contextlib

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
    watch = _Watch(network)
    watch.over(images)
    if watch.grew:  # what was counted before the largest was seen was compared with less
        watch.over(images)
    total = sum(map(len, images))
    return [
        Saturation(
            name if again == 0 else f"{name}#{again + 1}",
            share=counts.double().mean().item() / total,
            dead=(counts == total).double().mean().item(),
        )
        for (name, again), counts in watch.saturated.items()
    ]


class _Watch:
    """What is seen of a network's activations while images pass: slopes and saturated units."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.names = {module: name for name, module in network.named_modules()}
        self.largest: dict[Use, float] = {}
        self.saturated: dict[Use, Tensor] = {}  # on how many images, each unit
        self.used: dict[str, int] = {}
        self.grew = False

    def over(self, images: list[Tensor]) -> None:
        """Count anew while images pass."""
        self.saturated.clear()
        self.grew = False
        with contextlib.ExitStack() as stack:
            for module in self.names:
                if any(runs_as(module, activation) for activation in _ACTIVATIONS):
                    stack.enter_context(module.register_forward_hook(self._note))
            for batch in (batch for group in images for batch in group.split(BATCH)):
                self.used.clear()
                with torch.no_grad():
                    self.network(batch)

    def _note(self, module: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        name = self.names[module]
        use = name, self.used.get(name, 0)
        self.used[name] = use[1] + 1
        slopes = _slopes(module, inputs[0])
        if (highest := slopes.max().item()) > self.largest.get(use, -1.0):
            self.largest[use] = highest
            self.grew |= use in self.saturated
        found = (slopes <= self.largest[use] / 2).sum(0)
        self.saturated[use] = self.saturated[use] + found if use in self.saturated else found


def _slopes(module: nn.Module, inputs: Tensor) -> Tensor:
    """Return the magnitudes of an elementwise module's derivatives, of the inputs' shape."""
    with torch.enable_grad():
        leaf = inputs.detach().clone().requires_grad_()
        # Its `forward`: the hook that asks for this is on its call.
        (slopes,) = torch.autograd.grad(module.forward(leaf).sum(), leaf)
    return slopes.abs()
