"""Write images as files: one picture of many, or a file each."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from lipbench import atomic
from lipbench.errors import UserError


def grid(images: Tensor) -> Image.Image:
    """Return images, uint8 (N, C, H, W), row by row in a square; what is left of it is black."""
    count, channels, height, width = images.shape
    side = math.ceil(math.sqrt(count))
    blank = images.new_zeros(side * math.ceil(count / side) - count, channels, height, width)
    cells = torch.cat([images, blank]).unflatten(0, (-1, side))
    return _picture(cells.permute(2, 0, 3, 1, 4).flatten(3).flatten(1, 2))


def save(path: Path, picture: Image.Image) -> None:
    """Write a picture as a PNG file. Raises UserError where it cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.replace(path, lambda file: picture.save(file, format="PNG"))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error


def save_each(folder: Path, images: Tensor) -> None:
    """Write images as 00000.png, 00001.png, ... Raises UserError where that cannot be."""
    atomic.remove_leftovers(folder)
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty; name a new folder")
    for number, image in enumerate(images):
        save(folder / f"{number:05d}.png", _picture(image))


def _picture(image: Tensor) -> Image.Image:
    """Return an image (C, H, W) of one or three channels."""
    pixels = image.permute(1, 2, 0).numpy()
    return Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])
