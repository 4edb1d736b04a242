"""STL-10 (Coates et al., 2011) as GANs are trained on it: the 100,000 unlabeled images.

Miyato et al. 2018 train on the unlabeled set alone, scaled to 48 x 48 (the author, in an issue of
their code); by which filter is not known. Here it is bilinear, as torchvision scales by default.
The test split is the set's own 8,000 test images; labels are left out, since the training images
have none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from lipbench.data import Arrays, DatasetInfo, store
from lipbench.datasets._torchvision import Downloaded
from lipbench.errors import UserError


@dataclass(frozen=True)
class Stl10(Downloaded):
    """STL-10's 100,000 unlabeled images, downloaded to the cache or `path`."""

    title = "STL-10"
    papers = ("coates2011",)
    splits = (
        "The training split is the 100,000 unlabeled images, the test split the set's own 8,000 "
        "test images, both without labels. Images of 96 × 96 pixels were scaled bilinearly."
    )

    _identity = "stl10 1 91f7769df0f17e558f3565bffb0c7dfb"
    _counts = (100_000, 8_000)
    _files = "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz, unpacked or not,"

    image_size: Literal[32, 48, 64, 96] = 48

    def inspect(self, cache: Path) -> DatasetInfo:
        shape = (3, self.image_size, self.image_size)
        return replace(super().inspect(cache), shape=shape)

    def load(self, info: DatasetInfo, cache: Path) -> tuple[Arrays, tuple[str, ...]]:
        """Return the arrays, which are scaled at the first use."""

        def fill(arrays: Arrays) -> dict[str, Any]:
            for split, theirs in (("train", "unlabeled"), ("test", "test")):
                images = arrays[f"{split}_samples"]
                found = self.opened("STL10", cache, split=theirs).data
                if len(found) != len(images):
                    raise UserError(
                        f"STL-10 has {len(found):,} {theirs} images, not {len(images):,}"
                    )
                for index, image in enumerate(found):  # (3, 96, 96)
                    images[index] = _scaled(image.transpose(1, 2, 0), info.image_size)
                arrays[f"{split}_labels"][:] = 0
            return {}

        stored = store.read(info, cache) or store.make(info, cache, fill)
        return stored[0], ()


def _scaled(image: np.ndarray, size: int) -> np.ndarray:
    scaled = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(scaled)
