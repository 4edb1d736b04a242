"""The Inception network that FID and IS are defined on, as torch-fidelity ports it.

Its weights (96 MB) are used only where their sha256 is the published file's, and are never
unpickled before that is known.
"""

from __future__ import annotations

import io
import urllib.error
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipbench.errors import UserError
from lipbench.scoring import weights
from lipbench.scoring.features import Extractor

if TYPE_CHECKING:  # importing it takes seconds
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

FILE_NAME = "weights-inception-2015-12-05-6726825d.pth"
_BATCH_SIZE = 32
_LAYERS = (  # from the resized image to the pooled features
    "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "MaxPool_1", "Conv2d_3b_1x1",
    "Conv2d_4a_3x3", "MaxPool_2", "Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b",
    "Mixed_6c", "Mixed_6d", "Mixed_6e", "Mixed_7a", "Mixed_7b", "Mixed_7c", "AvgPool",
)  # fmt: skip


def locate(sha256: str, cache: Path, explicit: Path | None) -> Path:
    """Return the weights file: the one given, else torch.hub's, our cache's, a download.

    Raises UserError, naming URL, path and flag, if there is none. A cached file of another
    content is passed over; one that was given is refused by whoever reads it.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    if explicit is not None:
        return explicit
    ours = cache / "weights" / FILE_NAME
    for path in (Path(torch.hub.get_dir(), "checkpoints", FILE_NAME), ours):
        if path.is_file() and weights.digest(path.read_bytes()) == sha256:
            return path
    try:
        ours.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(URL_INCEPTION_V3, str(ours), sha256, progress=False)
    except (OSError, RuntimeError, urllib.error.URLError) as error:
        raise UserError(
            f"FID and IS need Inception's weights, and {URL_INCEPTION_V3} could not be "
            f"downloaded to {ours} ({error}). Download it elsewhere, then put it there or name "
            "it: --inception-weights PATH"
        ) from error
    return ours


class CleanInception(nn.Module):
    """The same network behind a resize without aliasing, as clean-fid has it.

    Antialiased bicubic interpolation of float32 pixels, clamped to [0, 255], as Pillow's, and no
    rounding to uint8 in between (Parmar, Zhang and Zhu, On Aliased Resizing and Surprising
    Subtleties in GAN Evaluation, CVPR 2022).
    """

    def __init__(self, network: FeatureExtractorInceptionV3) -> None:
        super().__init__()
        self.side = network.INPUT_IMAGE_SIZE
        self.body = nn.Sequential(*[getattr(network, name) for name in _LAYERS])
        self.fc = network.fc

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return (pooled, logits) of images, uint8 (B, 3, H, W)."""
        size = (self.side, self.side)
        resized = F.interpolate(images.float(), size, mode="bicubic", antialias=True)
        pooled = self.body((resized.clamp(0, 255) - 128) / 128).flatten(1)
        return pooled, pooled @ self.fc.weight.T


def build_clean(data: bytes) -> Extractor:
    """Return the extractor of clean-fid's preprocessing, with the same outputs as `build`'s."""
    extractor = build(data)
    return Extractor(CleanInception(extractor.network), extractor.channels, extractor.batch_size)


def build(data: bytes) -> Extractor:
    """Return the extractor: images to 2048 pooled features and 1008 logits without their bias.

    torch-fidelity would unpickle whatever file it is given, so it is handed a copy that was
    written here, from tensors that were loaded as nothing but tensors.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    copy = io.BytesIO()
    torch.save(state, copy)
    copy.seek(0)
    with torch.random.fork_rng(devices=[]):  # its layers are initialised before they are loaded
        network = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=copy
        )
    return Extractor(network, channels=3, batch_size=_BATCH_SIZE)
