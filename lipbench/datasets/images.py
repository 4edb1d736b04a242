"""Any folder, or zip, of images: which files (`files`), splits and classes (`layout`), pixels.

Images are decoded once (`decoded`) and cached, named by the content of the files. A change of the
decoding makes another dataset; the arrays of an older one are read as long as the cache has them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from annotated_types import Ge

from lipbench.data import Arrays, DatasetInfo, decoded, decoding, fingerprints
from lipbench.data import files as files_
from lipbench.data.decoded import Pictures
from lipbench.data.files import Files, shown
from lipbench.data.layout import layout
from lipbench.dataset import Source
from lipbench.errors import UserError


@dataclass(frozen=True)
class Images(Source):
    """A folder or zip of images, in folders for classes and splits where it has such.

    `image_size` is the side, in pixels, to crop and scale them to.
    """

    title = "images from a folder"

    path: str | None = None
    image_size: Annotated[int, Ge(1)] | None = None

    @property
    def _given(self) -> Path:
        if self.path is None:
            raise UserError(
                "the dataset 'images' needs a folder or zip of class folders: "
                "--set dataset.path=PATH"
            )
        return Path(self.path)

    def inspect(self, cache: Path) -> DatasetInfo:
        """Return the facts; raise UserError where images are not square and no size is told."""
        files = files_.find(self._given)
        made = layout(files)
        info = DatasetInfo(
            "images",
            _fingerprint(files, cache),
            decoding.shape(files, self.image_size),
            len(made.train),
            len(made.test),
            made.classes,
            (*made.notes, *files_.notes(files)),
            decoding.VERSION,
        )
        found = decoded.notes(info, cache, files.root)  # of images that were decoded before
        return replace(info, notes=(*info.notes, *found))

    def load(self, info: DatasetInfo, cache: Path) -> tuple[Arrays, tuple[str, ...]]:
        """Return the arrays, decoding all images at the first use of this content."""
        return decoded.load(info, cache, self._given, lambda: self._found(info, cache))

    def _found(self, info: DatasetInfo, cache: Path) -> Pictures:
        """Return the files; raise UserError where they are not those of `info`."""
        files = files_.find(self._given)
        if _fingerprint(files, cache) != info.fingerprint:
            raise UserError(
                f"{shown(files.root)} has changed since this command read it; run it again"
            )
        return Pictures(files, layout(files))


def _fingerprint(files: Files, cache: Path) -> str:
    """Return the sha256 of all names and contents."""
    version = decoding.VERSION

    def compute() -> str:
        digest = hashlib.sha256(f"images version {version}".encode())
        for name in files.names:
            digest.update(f"{name}\0{hashlib.sha256(files.read(name)).hexdigest()}\n".encode())
        return digest.hexdigest()

    return fingerprints.remembered(cache, f"images {version}\n{files.signature}", compute)
