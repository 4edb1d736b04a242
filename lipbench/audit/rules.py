"""What is proven of each operation of a network: its Lipschitz constant, Euclidean, per image.

`BOUND_RULES` is a table from a module's class, a function or a tensor method's name to a rule. To
add one is to add an entry. What is not in it has no constant: no rule guesses.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipbench.audit.singular_values import operator_norm


class UnboundedError(Exception):
    """No constant is proven; the message says why, to whom reads the audit."""


@dataclass(frozen=True)
class Step:
    """One operation as computed on a batch of two images in float64.

    `inputs` are its arguments that depend on the image, and `constants` their constants with
    respect to it, one each. `apply` is the operation as a function of them alone. `module` is
    what is called, where that is one; `norm` its measured norm, where it is an affine layer.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    inputs: tuple[Tensor, ...]
    constants: tuple[float, ...]
    output: Any
    apply: Callable[[Tensor], Any]
    module: nn.Module | None = None
    norm: float | None = None

    @property
    def constant(self) -> float:
        """Return the constant of the only input. Raises UnboundedError where there are several."""
        if len(self.constants) > 1:
            raise UnboundedError("no rule for this operation on several functions of the image")
        return self.constants[0]

    def argument(self, place: int, name: str, default: Any) -> Any:
        """Return an argument of the call, or the attribute of a module that has this name."""
        if self.module is not None:
            return getattr(self.module, name)
        return self.args[place] if len(self.args) > place else self.kwargs.get(name, default)


Bound = tuple[float, str]  # the constant of the output with respect to the image, and why
BoundRule = Callable[[Step], Bound]


def slope(largest: float, reason: str) -> BoundRule:
    """Return the rule of a map with a fixed constant, such as an activation's largest slope."""
    return lambda step: (largest * step.constant, reason)


def no_bound(reason: str) -> BoundRule:
    """Return the rule of an operation that is known to have no constant."""

    def rule(step: Step) -> Bound:
        raise UnboundedError(reason)

    return rule


def layer(step: Step) -> Bound:
    """Return the bound of an affine layer: its norm is measured."""
    assert step.norm is not None
    return step.norm * step.constant, "norm of the layer as a map, measured"


def measured(step: Step) -> Bound:
    """Return the bound of an operation that is an affine map of its only input: measure it."""
    constant, inputs = step.constant, step.inputs[0]
    norm = operator_norm(step.apply, inputs.shape[1:], inputs.device)
    return norm * constant, "norm of this affine map, measured"


def declared(step: Step) -> Bound:
    """Return the bound of a module that states its own constant, `lipschitz`."""
    assert step.module is not None
    stated = float(step.module.lipschitz)  # type: ignore[arg-type]
    if stated < 0:
        raise UnboundedError(f"it states lipschitz = {stated:g}, which no map has")
    return stated * step.constant, "stated by the module"


def kinked(step: Step) -> Bound:
    """Return the bound of an elementwise map with slopes of at most 1."""
    if step.output.numel() != step.inputs[0].numel():  # by limits of `clamp` that are tensors
        raise UnboundedError("broadcasting repeats what is limited")
    return step.constant, "slopes of at most 1"


def leaky_relu(step: Step) -> Bound:
    """Return the bound of the slopes 1 and `negative_slope`."""
    low = float(step.argument(1, "negative_slope", 0.01))
    return max(1.0, abs(low)) * step.constant, f"slopes of 1 and {low:g}"


def prelu(step: Step) -> Bound:
    """Return the bound of the slopes 1 and the learned ones."""
    low = step.argument(1, "weight", None).abs().max().item()
    return max(1.0, low) * step.constant, f"slopes of 1 and up to {low:g}"


def rrelu(step: Step) -> Bound:
    """Return the bound of the slopes 1 and those between `lower` and `upper`."""
    low = max(abs(step.argument(1, "lower", 1 / 8)), abs(step.argument(2, "upper", 1 / 3)))
    return max(1.0, low) * step.constant, f"slopes of 1 and up to {low:g}"


def elu(step: Step) -> Bound:
    """Return the bound of the slopes 1 and alpha exp(x), x < 0."""
    alpha = _positive(step, "alpha")
    return max(1.0, alpha) * step.constant, f"slopes of 1 and up to {alpha:g}"


def celu(step: Step) -> Bound:
    """Return the bound of the slopes 1 and exp(x / alpha), x < 0."""
    _positive(step, "alpha")
    return step.constant, "slopes of at most 1"


def softplus(step: Step) -> Bound:
    """Return the bound of the slopes of log(1 + exp(beta x)) / beta, all below 1.

    torch returns x itself where beta x is above `threshold`. That is a jump, of which no constant
    is true: at torch's own threshold, 20, it is of 2e-9 / beta, which is neglected.
    """
    beta, threshold = _positive(step, "beta"), float(step.argument(2, "threshold", 20.0))
    if not threshold >= 20:
        raise UnboundedError(f"softplus jumps at its threshold {threshold:g}, below torch's 20")
    jump = math.log1p(math.exp(-threshold)) / beta
    return step.constant, f"slopes of at most 1, but for a jump of {jump:.0e} at its threshold"


def max_pool(dims: int) -> BoundRule:
    """Return the rule of maxima over windows: the root of how many windows a pixel is in.

    |max a - max b|^2 over a window is at most the sum of its |a_i - b_i|^2, and a pixel adds to
    as many such sums as it has windows.
    """

    def rule(step: Step) -> Bound:
        _require_rank(step, dims)
        kernel = step.argument(1, "kernel_size", None)
        stride = step.argument(2, "stride", None) or kernel
        dilation = step.argument(4, "dilation", 1)
        sizes = (_each(value, dims) for value in (kernel, stride, dilation))
        windows = math.prod(-(-k // (s // math.gcd(s, d))) for k, s, d in zip(*sizes, strict=True))
        return math.sqrt(windows) * step.constant, f"a pixel is in up to {windows} windows"

    return rule


def adaptive_max_pool(dims: int) -> BoundRule:
    """Return the rule of maxima over windows that do not meet."""

    def rule(step: Step) -> Bound:
        _require_rank(step, dims)
        sizes, wanted = step.inputs[0].shape[2:], step.output.shape[2:]
        if any(size % want for size, want in zip(sizes, wanted, strict=True)):
            raise UnboundedError("windows of adaptive pooling overlap where sizes do not divide")
        return step.constant, "windows do not overlap"

    return rule


def total(step: Step) -> Bound:
    """Return the bound of a sum or difference: the sum of the branches' constants."""
    if any(x.numel() != step.output.numel() for x in step.inputs):
        raise UnboundedError("broadcasting repeats a branch")
    _require_plain(step)
    return sum(step.constants), _said("sum", step.constants, "a shift")


def beside(step: Step) -> Bound:
    """Return the bound of branches side by side: the root of their constants' sum of squares."""
    return math.hypot(*step.constants), _said("root of the sum of squares", step.constants, "")


def larger(step: Step) -> Bound:
    """Return the bound of an elementwise maximum or minimum, which is at most that of `beside`."""
    if any(x.numel() != step.output.numel() for x in step.inputs):
        raise UnboundedError("broadcasting repeats a branch")
    return beside(step)


def product(step: Step) -> Bound:
    """Return the bound of a multiplication by constants: the largest of them."""
    if len(step.constants) > 1:
        raise UnboundedError("a product of two functions of the image has no constant")
    _require_plain(step)
    return _scaled(step, [value for value in step.args if value is not step.inputs[0]])


def quotient(step: Step) -> Bound:
    """Return the bound of a division by constants: the largest of their reciprocals."""
    _require_plain(step)
    if len(step.constants) > 1 or step.args[0] is not step.inputs[0]:
        raise UnboundedError("a quotient with a function of the image below has no constant")
    return _scaled(step, [1 / value for value in step.args[1:]])


def batch_norm(step: Step) -> Bound:
    """Return the bound of batch normalization by running statistics, as it is in eval mode.

    Channels are scaled by gamma / sqrt(variance + epsilon) and shifted: an affine map. With the
    batch's own statistics, as in training or where none are kept, it has no constant.
    """
    if step.argument(1, "running_mean", None) is None or step.argument(5, "training", False):
        raise UnboundedError(
            "batch normalization without running statistics divides by the batch's own deviation: "
            "no constant"
        )
    return _by_running_statistics(step)


def instance_norm(step: Step) -> Bound:
    """Return the bound of instance normalization that keeps running statistics, in eval mode."""
    if step.module is not None:
        own = step.module.training or not step.module.track_running_stats
    else:
        own = step.argument(5, "use_input_stats", True)
    if own or step.argument(1, "running_mean", None) is None:
        raise UnboundedError(f"instance normalization {_OWN}")
    return _by_running_statistics(step)


def _by_running_statistics(step: Step) -> Bound:
    variance, gamma = step.argument(2, "running_var", None), step.argument(3, "weight", None)
    scale = (variance.double() + float(step.argument(7, "eps", 1e-5))).rsqrt()
    scale = scale if gamma is None else scale * gamma.double()
    largest = scale.abs().max().item()
    return largest * step.constant, f"running statistics: a channel times up to {largest:.4g}"


def dropout(step: Step) -> Bound:
    """Return the bound of dropout that is off, as it is at rest."""
    if step.argument(2, "training", True):
        raise UnboundedError("dropout that never stops: D is no function of the image")
    return step.constant, "off at rest"


def entry(step: Step) -> Bound:
    """Return the bound of a selection of entries, each at most once: slices, not index lists."""
    index = step.args[1] if isinstance(step.args[1], tuple) else (step.args[1],)
    if not all(i is None or i is Ellipsis or isinstance(i, (int, slice)) for i in index):
        raise UnboundedError("an index list may repeat entries")
    return step.constant, "a selection of entries"


def _require_plain(step: Step) -> None:
    if step.kwargs:  # alpha, rounding_mode and such, which change what is computed
        raise UnboundedError(f"no rule for the arguments {', '.join(step.kwargs)}")


def _require_rank(step: Step, dims: int) -> None:
    # torch takes what has one dimension fewer for one image, the batch for its channels.
    if step.inputs[0].dim() != dims + 2:
        raise UnboundedError(
            f"pooling over {dims} dimensions of a batch (B, ...) with {step.inputs[0].dim()}, "
            f"not {dims + 2}: the batch is taken for channels"
        )


def _positive(step: Step, name: str) -> float:
    value = float(step.argument(1, name, 1.0))
    if not value > 0:
        raise UnboundedError(f"no rule for {name} = {value:g}, only for {name} > 0")
    return value


def _scaled(step: Step, factors: list[Any]) -> Bound:
    if step.output.numel() != step.inputs[0].numel():
        raise UnboundedError("broadcasting repeats what is multiplied")
    sizes = [torch.as_tensor(factor, dtype=torch.float64).abs() for factor in factors]
    largest = math.prod(size.max().item() for size in sizes)
    return largest * step.constant, f"multiplied by up to {largest:.4g}"


def _said(how: str, constants: tuple[float, ...], alone: str) -> str:
    if len(constants) == 1:
        return alone or "beside what does not depend on the image"
    return f"{how} of the branches' constants, {' and '.join(f'{c:.4g}' for c in constants)}"


def _each(value: int | tuple[int, ...], dims: int) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * dims


_OWN = "divides by the image's own deviation: no constant but for its epsilon"
_SILU, _GELU, _MISH = 1.09984, 1.12905, 1.08851  # the largest slopes, rounded up; no closed form
_SELU = 1.0507009873554805 * 1.6732632423543772  # scale * alpha, the slope below 0

_same = slope(1.0, "every entry once")
_quarter = slope(0.25, "slopes of at most 1/4")

BOUND_RULES: dict[Any, BoundRule] = {
    # Rearrangements
    **dict.fromkeys(
        (
            nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout, nn.Dropout1d, nn.Dropout2d,
            nn.Dropout3d, nn.AlphaDropout, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle,
            nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d, nn.ConstantPad1d, nn.ConstantPad2d,
            nn.ConstantPad3d, F.pixel_shuffle, F.pixel_unshuffle, torch.flatten, torch.reshape,
            torch.squeeze, torch.unsqueeze, torch.transpose, torch.permute, torch.unflatten,
            torch.chunk, torch.split, torch.clone, torch.flip, torch.roll,
            "flatten", "view", "reshape", "squeeze", "unsqueeze", "transpose", "permute",
            "unflatten", "chunk", "split", "contiguous", "clone", "float", "double", "flip",
            "roll", "neg", operator.neg, torch.neg,
        ),
        _same,
    ),
    operator.getitem: entry,
    **dict.fromkeys((F.dropout, F.dropout1d, F.dropout2d, F.dropout3d), dropout),
    "to": slope(1.0, "another precision or device"),
    "type": slope(1.0, "another precision"),
    # Activations
    **dict.fromkeys(
        (
            nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Tanh, nn.Softsign, nn.LogSigmoid, nn.Tanhshrink,
            nn.Softshrink, F.relu, F.relu6, F.hardtanh, F.softsign, F.logsigmoid, F.tanhshrink,
            F.softshrink, F.tanh, torch.relu, torch.tanh, torch.abs, torch.clamp, "relu", "tanh",
            "abs", "clamp", operator.abs,
        ),
        kinked,
    ),
    **dict.fromkeys((nn.Sigmoid, F.sigmoid, torch.sigmoid, "sigmoid"), _quarter),
    **dict.fromkeys((nn.LeakyReLU, F.leaky_relu), leaky_relu),
    **dict.fromkeys((nn.ELU, F.elu), elu),
    **dict.fromkeys((nn.CELU, F.celu), celu),
    **dict.fromkeys((nn.Softplus, F.softplus), softplus),
    **dict.fromkeys((nn.PReLU, F.prelu), prelu),
    **dict.fromkeys((nn.RReLU, F.rrelu), rrelu),
    **dict.fromkeys((nn.SELU, F.selu), slope(_SELU, f"slopes of up to {_SELU:.4g}")),
    **dict.fromkeys((nn.SiLU, F.silu), slope(_SILU, f"slopes of up to {_SILU:.4g}")),
    **dict.fromkeys((nn.GELU, F.gelu), slope(_GELU, f"slopes of up to {_GELU:.4g}")),
    **dict.fromkeys((nn.Mish, F.mish), slope(_MISH, f"slopes of up to {_MISH:.4g}")),
    **dict.fromkeys((nn.Hardswish, F.hardswish), slope(1.5, "slopes of up to 1.5")),
    **dict.fromkeys((nn.Hardsigmoid, F.hardsigmoid), slope(1 / 6, "slopes of up to 1/6")),
    # Affine maps of an image
    **dict.fromkeys(
        (
            nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d,
            nn.AdaptiveAvgPool3d, nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d,
            nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d, nn.ReplicationPad1d,
            nn.ReplicationPad2d, nn.ReplicationPad3d, nn.CircularPad1d, nn.CircularPad2d,
            nn.CircularPad3d, F.avg_pool1d, F.avg_pool2d, F.avg_pool3d, F.adaptive_avg_pool1d,
            F.adaptive_avg_pool2d, F.adaptive_avg_pool3d, F.interpolate, F.pad, F.conv1d,
            F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d,
            F.linear, torch.matmul, torch.mean, torch.sum, operator.matmul, "mean", "sum",
            "matmul", "mm", torch.mm,
        ),
        measured,
    ),
    # Maxima
    **dict.fromkeys((nn.MaxPool1d, F.max_pool1d), max_pool(1)),
    **dict.fromkeys((nn.MaxPool2d, F.max_pool2d), max_pool(2)),
    **dict.fromkeys((nn.MaxPool3d, F.max_pool3d), max_pool(3)),
    nn.AdaptiveMaxPool1d: adaptive_max_pool(1),
    nn.AdaptiveMaxPool2d: adaptive_max_pool(2),
    nn.AdaptiveMaxPool3d: adaptive_max_pool(3),
    **dict.fromkeys((torch.maximum, torch.minimum), larger),
    # Branches, and constants
    **dict.fromkeys((operator.add, operator.sub, torch.add, torch.sub, "add", "sub"), total),
    **dict.fromkeys((torch.cat, torch.concat, torch.stack), beside),
    **dict.fromkeys((operator.mul, torch.mul, "mul"), product),
    **dict.fromkeys((operator.truediv, torch.div, "div"), quotient),
    # Normalizations, affine where they have running statistics
    **dict.fromkeys(
        (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, F.batch_norm),
        batch_norm,
    ),
    **dict.fromkeys(
        (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d, F.instance_norm), instance_norm
    ),
    # What has none
    **dict.fromkeys((nn.LayerNorm, F.layer_norm), no_bound(f"layer normalization {_OWN}")),
    **dict.fromkeys((nn.GroupNorm, F.group_norm), no_bound(f"group normalization {_OWN}")),
    **dict.fromkeys(
        (nn.MultiheadAttention, F.scaled_dot_product_attention),
        no_bound("dot-product attention is not Lipschitz (Kim et al., ICML 2021)"),
    ),
}  # fmt: skip
