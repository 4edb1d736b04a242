"""Small folders of images, each a picture of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lipbench import data, dataset
from lipbench.datasets.images import Images


def picture(seed: int, mode: str = "RGB", size: tuple[int, int] = (8, 8)) -> Image.Image:
    """Return an image of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


class Maker:
    """Writes images that all differ."""

    def __init__(self) -> None:
        self.count = 0

    def one(self, path: Path, mode: str = "RGB", size: tuple[int, int] = (8, 8)) -> Path:
        """Write one image."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.count += 1
        picture(self.count, mode, size).save(path)
        return path

    def folder(
        self, path: Path, count: int = 5, mode: str = "RGB", suffix: str = ".png"
    ) -> list[Path]:
        """Write a folder of images 0.png, 1.png, ..."""
        return [self.one(path / f"{index}{suffix}", mode) for index in range(count)]


@pytest.fixture
def make() -> Maker:
    return Maker()


@pytest.fixture
def root(make: Maker, tmp_path: Path) -> Path:
    """Return a folder of two classes, a and b, of five images each."""
    for label in "ab":
        make.folder(tmp_path / "set" / label)
    return tmp_path / "set"


@pytest.fixture
def inspect(tmp_path: Path) -> Callable[..., data.DatasetInfo]:
    def inspect(path: Path, size: int | None = None) -> data.DatasetInfo:
        return Images(str(path), size).inspect(tmp_path / "cache")

    return inspect


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., data.Dataset]:
    """Return a function from a path of images to the dataset."""

    def load(path: Path, size: int | None = None) -> data.Dataset:
        source, cache = Images(str(path), size), tmp_path / "cache"
        return dataset.load(source, source.inspect(cache), cache, torch.device("cpu"))

    return load
