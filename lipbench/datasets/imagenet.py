"""ImageNet (ILSVRC 2012) from a folder in the usual layout: train/CLASS/ and val/CLASS/.

The images cannot be downloaded without an account. torchvision.datasets.ImageNet unpacks the
archives to this layout. Images are cropped to the middle square and scaled bilinearly, as Miyato
et al.'s code scales them. The identity of so many files is their names and sizes: a plan should
not wait until all are read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from PIL import Image

from lipbench.data import Arrays, DatasetInfo, decoded, decoding
from lipbench.data import files as files_
from lipbench.data.decoded import Pictures
from lipbench.data.files import Files, shown
from lipbench.data.layout import Layout
from lipbench.dataset import Source
from lipbench.errors import UserError


@dataclass(frozen=True)
class Imagenet(Source):
    """ImageNet from a folder with train/CLASS/ and val/CLASS/; val/ is the test split."""

    title = "ImageNet"
    papers = ("russakovsky2015",)
    splits = (
        "The splits are the data set's own; its validation images are the test split. Images "
        "were cropped to the middle square and scaled bilinearly."
    )

    path: str | None = None
    image_size: Literal[32, 64, 128] = 128

    def inspect(self, cache: Path) -> DatasetInfo:
        """Return the facts; raise UserError where the folder has another layout."""
        pictures = self._pictures()
        layout = pictures.layout
        return DatasetInfo(
            "imagenet",
            files_.fingerprint(pictures.files, f"imagenet {decoding.VERSION}"),
            (3, self.image_size, self.image_size),
            len(layout.train),
            len(layout.test),
            layout.classes,
            version=decoding.VERSION,
        )

    def load(self, info: DatasetInfo, cache: Path) -> tuple[Arrays, tuple[str, ...]]:
        """Return the arrays, decoding all images at the first use of these files."""
        assert self.path is not None, "inspect has refused it"
        return decoded.load(info, cache, Path(self.path), self._pictures, has_own_splits=True)

    def _pictures(self) -> Pictures:
        if self.path is None:
            raise UserError(
                "the dataset 'imagenet' needs the folder that has train/ and val/: "
                "--set dataset.path=PATH"
            )
        files = files_.find(Path(self.path))
        layout = _layout(files)
        used = replace(files, names=(*layout.train, *layout.test))  # others may lie beside them
        return Pictures(used, layout, Image.Resampling.BILINEAR)


def _layout(files: Files) -> Layout:
    """Return the images of train/CLASS/ and val/CLASS/; raise UserError for another layout."""
    names: dict[str, list[str]] = {"train": [], "val": []}
    for name in files.names:
        split, *rest = name.split("/")
        if split in names:
            if len(rest) != 2:
                raise files.refuse(name, f"should lie in a class folder, {split}/CLASS/")
            names[split].append(name)
    for split, found in names.items():
        if not found:
            raise UserError(f"{shown(files.root)} has no images in {split}/CLASS/")
    of_train, of_val = ({name.split("/")[1] for name in found} for found in names.values())
    if unknown := sorted(of_val - of_train):
        raise UserError(
            f"{shown(files.root)}: val/ has a class that train/ has not: {shown(unknown[0])}"
        )
    classes = tuple(sorted(of_train))
    index = {label: number for number, label in enumerate(classes)}
    labels = {name: index[name.split("/")[1]] for found in names.values() for name in found}
    return Layout(tuple(names["train"]), tuple(names["val"]), classes, labels, ())
