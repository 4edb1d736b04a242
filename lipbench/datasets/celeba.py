"""CelebA (Liu et al., 2015), aligned and cropped: the middle 178 x 178 pixels, scaled.

The whole width of the aligned images of 178 x 218 pixels is the crop that torchvision's users
write as CenterCrop(178); bilinear, as torchvision scales by default. Others crop more (our
choice). torchvision checks the lists' MD5 sums, and that of the archive if it unpacks it itself.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from PIL import Image

from lipbench.data import Arrays, DatasetInfo, decoded, decoding
from lipbench.data import files as files_
from lipbench.data.decoded import Pictures
from lipbench.data.files import Files
from lipbench.data.layout import Layout
from lipbench.datasets._torchvision import Downloaded


@dataclass(frozen=True)
class Celeba(Downloaded):
    """CelebA's aligned faces without classes, downloaded to the cache or `path`."""

    title = "CelebA"
    papers = ("liu2015",)
    splits = (
        "The splits are the data set's own training and test splits; its validation images are "
        "left out. The middle 178 × 178 pixels were scaled bilinearly."
    )

    # Of the archive of images, and of the list of splits.
    _identity = (
        f"celeba {decoding.VERSION} 00d2c5bc6d35e252742224ab0c1e8fcb "
        "d32c9cbf5e040fd4025c592c306e6668"
    )
    _counts = (162_770, 19_962)
    _files = (
        "celeba/ with img_align_celeba.zip, unpacked, list_eval_partition.txt, "
        "list_attr_celeba.txt, list_bbox_celeba.txt, list_landmarks_align_celeba.txt and "
        "identity_CelebA.txt of http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
    )

    image_size: Literal[64, 128] = 64

    def inspect(self, cache: Path) -> DatasetInfo:
        info, shape = super().inspect(cache), (3, self.image_size, self.image_size)
        return replace(info, shape=shape, version=decoding.VERSION)

    def load(self, info: DatasetInfo, cache: Path) -> tuple[Arrays, tuple[str, ...]]:
        """Return the arrays, decoding all images at the first use."""
        find = functools.partial(self._pictures, cache)
        return decoded.load(info, cache, self._root(cache), find, has_own_splits=True)

    def _pictures(self, cache: Path) -> Pictures:
        train, test = (
            tuple(self.opened("CelebA", cache, split=split).filename)
            for split in ("train", "test")
        )
        folder = self._root(cache) / "celeba" / "img_align_celeba"
        files = Files(folder, (*train, *test), (), "", files_.reader(folder))
        layout = Layout(train, test, (), dict.fromkeys(files.names, 0), ())
        return Pictures(files, layout, Image.Resampling.BILINEAR)
