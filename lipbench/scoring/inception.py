"""The Inception network that FID and IS are defined on, as torch-fidelity ports it.

Its weights (96 MB) are used only where their sha256 is the published file's, and are never
unpickled before that is known.
"""

from __future__ import annotations

import io
import urllib.error
from pathlib import Path, PurePosixPath

import torch
from torch_fidelity.feature_extractor_inceptionv3 import (
    URL_INCEPTION_V3,
    FeatureExtractorInceptionV3,
)

from lipbench.errors import UserError
from lipbench.scoring import weights
from lipbench.scoring.features import Extractor

FILE_NAME = PurePosixPath(URL_INCEPTION_V3).name
_BATCH_SIZE = 32


def locate(sha256: str, cache: Path, explicit: Path | None) -> Path:
    """Return the weights file: the one given, else torch.hub's, our cache's, a download.

    Raises UserError, naming URL, path and flag, if there is none. A cached file of another
    content is passed over; one that was given is refused by whoever reads it.
    """
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


def build(data: bytes) -> Extractor:
    """Return the extractor: images to 2048 pooled features and 1008 logits without their bias.

    torch-fidelity would unpickle whatever file it is given, so it is handed a copy that was
    written here, from tensors that were loaded as nothing but tensors.
    """
    state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    copy = io.BytesIO()
    torch.save(state, copy)
    copy.seek(0)
    with torch.random.fork_rng(devices=[]):  # its layers are initialised before they are loaded
        network = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=copy
        )
    return Extractor(network, channels=3, batch_size=_BATCH_SIZE)
