"""LSUN (Yu et al., 2015): one category, from a folder of its images.

LSUN comes as LMDB databases. Its own script writes them as a folder of WebP files, which is what
is read here: `python data.py export bedroom_train_lmdb --out_dir bedroom_train`. torchvision's
reader is not used: it needs the package lmdb, and writes a file to the working directory. The
validation set has 300 images, so the test split is drawn from the training images (our choice).
Images are cropped to the middle square and scaled bilinearly; their identity is their names and
sizes, since there are millions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge
from PIL import Image

from lipbench.data import Arrays, DatasetInfo, decoded, decoding
from lipbench.data import files as files_
from lipbench.data.decoded import Pictures
from lipbench.data.layout import Layout
from lipbench.dataset import Source
from lipbench.errors import UserError


@dataclass(frozen=True)
class Lsun(Source):
    """LSUN's images of one category, from the folder `path`/CATEGORY_train of exported files."""

    title = "LSUN"
    papers = ("yu2015",)
    splits = (
        "The test split was drawn from the category's training images, once for all runs. Images "
        "were cropped to the middle square and scaled bilinearly."
    )

    path: str | None = None
    category: str = "bedroom"
    image_size: Literal[64, 128] = 64
    held_out: Annotated[int, Ge(1)] = 30_000  # images of the test split: our choice

    def inspect(self, cache: Path) -> DatasetInfo:
        """Return the facts; raise UserError where the folder is missing or has too few images."""
        pictures = self._pictures()
        what = f"lsun {decoding.VERSION}, {self.category}, {self.held_out} held out"
        return DatasetInfo(
            "lsun",
            files_.fingerprint(pictures.files, what),
            (3, self.image_size, self.image_size),
            len(pictures.layout.train),
            len(pictures.layout.test),
            (),
            version=decoding.VERSION,
        )

    def load(self, info: DatasetInfo, cache: Path) -> tuple[Arrays, tuple[str, ...]]:
        """Return the arrays, decoding all images at the first use of these files."""
        return decoded.load(info, cache, self._folder, self._pictures)

    @property
    def _folder(self) -> Path:
        if self.path is None:
            raise UserError(
                f"the dataset 'lsun' needs the folder that has {self.category}_train/: "
                "--set dataset.path=PATH"
            )
        return Path(self.path) / f"{self.category}_train"

    def _pictures(self) -> Pictures:
        folder = self._folder
        database = folder.with_name(f"{folder.name}_lmdb")
        if not folder.exists() and database.exists():
            raise UserError(
                f"{database} is a database; write its images with LSUN's script: python data.py "
                f"export {database} --out_dir {folder}"
            )
        files = files_.find(folder)
        if len(files.names) <= self.held_out:
            raise UserError(
                f"{folder} has {len(files.names):,} images, and dataset.held_out is "
                f"{self.held_out:,}: nothing is left to train on"
            )
        order = np.random.default_rng(0).permutation(len(files.names))
        test = set(order[: self.held_out].tolist())
        train_names, test_names = (
            tuple(name for index, name in enumerate(files.names) if (index in test) is held_out)
            for held_out in (False, True)
        )
        layout = Layout(train_names, test_names, (), dict.fromkeys(files.names, 0), ())
        return Pictures(files, layout, Image.Resampling.BILINEAR)
