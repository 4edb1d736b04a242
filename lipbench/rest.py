"""Copies of a network at rest, so that whatever is done with them leaves the network alone."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import TypeGuard, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipbench.networks import Network

Kind = TypeVar("Kind", bound=nn.Module)


def at_rest(network: Kind) -> Kind:
    """Return a copy in eval mode, whose weights ask for no gradient and whose layers spare inputs.

    In eval mode no power iteration goes on and running statistics stay.
    """
    twin = copy.deepcopy(network, _detached(network)).eval().requires_grad_(False)
    for module in twin.modules():
        if hasattr(module, "inplace"):
            module.inplace = False  # type: ignore[assignment]  # the same values, and what came in can still be looked at
    return twin


def in_float64(network: Kind) -> Kind:
    """Return such a copy that computes in float64 to its end.

    A `Network` would return float32, in which the difference of two near logits is lost.
    """
    twin = at_rest(network).double()
    for module in twin.modules():
        if has_compute(module):
            module.forward = module.compute  # type: ignore[method-assign]
    return twin


def has_compute(module: nn.Module) -> TypeGuard[Network]:
    """Return whether a module is a `Network` whose forward is that of its class."""
    kind: type[nn.Module] = parametrize.type_before_parametrizations(module)
    return isinstance(module, Network) and kind.forward is Network.forward


def baked(network: Kind) -> Kind:
    """Return a network at rest with each computed weight as a plain one, in place.

    Some are costly to compute, and would be at each pass. The network must be a copy of
    `at_rest`. torch's own `remove_parametrizations` is not for copies: it takes the computed
    attribute from a class that the copy shares with its original.
    """
    for module in network.modules():
        if parametrize.is_parametrized(module):
            names = list(module.parametrizations)  # type: ignore[arg-type]
            weights = {name: getattr(module, name).detach() for name in names}
            module.__class__ = parametrize.type_before_parametrizations(module)
            del module.parametrizations
            for name, weight in weights.items():
                module.register_parameter(name, nn.Parameter(weight, requires_grad=False))
    return network


@contextlib.contextmanager
def undisturbed(device: torch.device, seed: int) -> Iterator[None]:
    """Seed torch's generators for a while, then put them back; gradients on, autocast off.

    A network that draws in eval mode so gives the same numbers for the same seed.
    """
    cuda = device.type == "cuda"
    with (
        torch.random.fork_rng(devices=[device] if cuda else []),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
    ):
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def _detached(network: nn.Module) -> dict[int, Tensor]:
    """Return the memo for a deepcopy with what modules hold of a past graph, without the graph.

    Such as the weight that `torch.nn.utils.spectral_norm` computes before each forward: torch
    refuses to copy it as it is.
    """
    held = [value for module in network.modules() for value in vars(module).values()]
    return {
        id(value): value.detach().clone()
        for value in held
        if isinstance(value, Tensor) and value.grad_fn is not None
    }
