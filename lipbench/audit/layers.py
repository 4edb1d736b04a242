"""The affine layers of a network, each measured by itself."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _SpectralNorm, _WeightNorm

from lipbench.audit.facts import Layer
from lipbench.audit.singular_values import (
    circular_spectrum,
    effective_rank,
    kernel_matrix,
    operator_norm,
    singular_values,
    stable_rank,
)
from lipbench.errors import UserError
from lipbench.operators import MatrixNorm
from lipbench.rest import at_rest, baked

_AFFINE = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


def kind(module: nn.Module) -> type[nn.Module]:
    """Return a module's class, whether or not its weights are reparametrized."""
    return parametrize.type_before_parametrizations(module)


def runs_as(module: nn.Module, base: type[nn.Module]) -> bool:
    """Return whether a module computes as a class does: it is one, with the same forward."""
    return isinstance(module, base) and (
        "forward" not in vars(module) and kind(module).forward is base.forward
    )


def has_hooks(module: nn.Module) -> bool:
    """Return whether a module's call does more than its forward."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def uses_its_weight(module: nn.Module) -> bool:
    """Return whether a module is torch's own affine layer, which computes with its `.weight`."""
    return any(runs_as(module, base) for base in _AFFINE)


def is_affine(module: nn.Module) -> bool:
    """Return whether a module is an affine map: one of torch's own, or one that says so.

    A module with a forward of its own says so with an attribute `affine_map = True`.
    """
    return uses_its_weight(module) or getattr(module, "affine_map", False) is True


@torch.no_grad()
def input_shapes(network: nn.Module, image: Tensor) -> dict[str, torch.Size]:
    """Return what each affine layer gets of an image (1, C, H, W), without the batch, by name.

    In the order in which an image reaches them; a layer that is used again has its first shape.
    """
    names = {module: name for name, module in network.named_modules()}
    shapes: dict[str, torch.Size] = {}

    def note(module: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]) -> None:
        inputs = (*args, *kwargs.values())[0]
        shapes.setdefault(names[module], inputs.shape[1:])

    with contextlib.ExitStack() as stack:
        for module in names:
            if is_affine(module):
                stack.enter_context(module.register_forward_pre_hook(note, with_kwargs=True))
        network(torch.cat([image, image]))  # one alone, `squeeze()` would take for no batch
    return shapes


def measured(network: nn.Module, image: Tensor) -> list[Layer]:
    """Return the facts of each affine layer of a network at rest, in float64.

    The image (1, C, H, W) is only for its shape. Raises UserError for a module that wrongly says
    to be an affine map.
    """
    modules = dict(network.named_modules())
    return [
        _facts(name, modules[name], shape) for name, shape in input_shapes(network, image).items()
    ]


def sigma_kernel(layer: nn.Module) -> float:
    """Return the largest singular value of a layer's weight, reshaped to (outputs, rest)."""
    weight: Tensor = at_rest(layer).double().weight  # type: ignore[assignment]
    return _largest(layer, weight)


def sigma_operator(layer: nn.Module, input_shape: torch.Size) -> float:
    """Return the largest singular value of a layer as a map of inputs, biases apart.

    The layer must be affine; its stride, padding and the input's shape (C, H, W) or (F,) count.
    """
    layer = baked(at_rest(layer).double())
    return operator_norm(layer, input_shape, _device(layer))


def trained_weight(layer: nn.Module) -> Tensor | None:
    """Return the parameter of the weight's shape that a weight is computed from, if there is one.

    torch's weight normalization has it beside the norms; a weight made of several factors, such
    as those of a singular value decomposition, has none.
    """
    if parametrize.is_parametrized(layer, "weight"):
        chain = layer.parametrizations["weight"]  # type: ignore[index]
        of_norm = isinstance(chain[0], _WeightNorm)
        found = getattr(chain, "original1" if of_norm else "original", None)
    else:  # the hooks of torch.nn.utils.spectral_norm and weight_norm
        found = getattr(layer, "weight_orig", getattr(layer, "weight_v", None))
    fits = isinstance(found, Tensor) and found.shape == layer.weight.shape
    return found if fits else None


def sigma_estimate(layer: nn.Module, original: Tensor) -> float | None:
    """Return u . W v with the vectors of the method's power iteration on W, none of them moved.

    W is the trained weight as a matrix; an iteration on anything else, such as the convolution as
    a map or another reshaping, is no estimate of its singular value. None where there is none.
    """
    matrix = kernel_matrix(layer, original)
    for seen, u, v in _iterations(layer):
        if seen.shape == matrix.shape and torch.equal(seen, matrix):
            return (u @ (matrix @ v)).item()
    return None


def _iterations(layer: nn.Module) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield the matrices that a layer's power iterations are of, with their two vectors."""
    if hasattr(layer, "weight_orig") and hasattr(layer, "weight_u"):
        original: Tensor = layer.weight_orig  # type: ignore[assignment]
        yield kernel_matrix(layer, original), layer.weight_u, layer.weight_v  # type: ignore[misc]
    if not parametrize.is_parametrized(layer, "weight"):
        return
    seen: list[tuple[Tensor, Tensor, Tensor]] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if isinstance(module, MatrixNorm):
            seen.append((inputs[0], module.u, module.v))
        elif isinstance(module, _SpectralNorm) and inputs[0].dim() > 1:
            matrix = module._reshape_weight_to_matrix(inputs[0])
            seen.append((matrix, module._u, module._v))

    with contextlib.ExitStack() as stack:
        for module in layer.parametrizations["weight"].modules():  # type: ignore[union-attr,index]
            stack.enter_context(module.register_forward_pre_hook(note))
        _ = layer.weight  # computes it
    yield from seen


def _facts(name: str, layer: nn.Module, shape: torch.Size) -> Layer:
    weight = getattr(layer, "weight", None)
    values = original = circular = None
    if uses_its_weight(layer):
        values = singular_values(kernel_matrix(layer, layer.weight))  # type: ignore[arg-type]
        original = trained_weight(layer)
        circular = circular_spectrum(layer, layer.weight, shape)  # type: ignore[arg-type]
    if values is None or has_hooks(layer):
        _check_affine(name, layer, shape)
    return Layer(
        name=name,
        kind=kind(layer).__name__,
        shape=None if weight is None else list(weight.shape),
        input_shape=list(shape),
        sigma_kernel=None if values is None else values[0].item(),
        sigma_original=None if original is None else _largest(layer, original),
        sigma_estimate=None if original is None else sigma_estimate(layer, original),
        sigma_operator=sigma_operator(layer, shape),
        effective_rank=None if values is None else effective_rank(values),
        stable_rank=None if values is None else stable_rank(values),
        spectrum_kernel=None if values is None else values.tolist(),
        spectrum_circular=circular,
    )


def _largest(layer: nn.Module, weight: Tensor) -> float:
    return singular_values(kernel_matrix(layer, weight))[0].item()


def _device(module: nn.Module) -> torch.device:
    return next(itertools.chain(module.parameters(), module.buffers())).device


@torch.no_grad()
def _check_affine(name: str, layer: nn.Module, shape: torch.Size) -> None:
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 1, *shape, generator=draw, dtype=torch.float64).to(_device(layer))
    joint, parts = layer(x + y) + layer(0 * x), layer(x) + layer(y)
    if not torch.allclose(joint, parts, rtol=1e-6, atol=1e-6 * parts.abs().max().item()):
        raise UserError(
            f"{name} ({kind(layer).__name__}) is taken for an affine map, for its class or its "
            "affine_map = True, but f(x + y) + f(0) is not f(x) + f(y)"
        )
