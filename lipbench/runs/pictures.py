"""Write samples as files: one picture of many, or a file for each image."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from lipbench import atomic
from lipbench.errors import UserError
from lipbench.streams import Latents

_SIDE = 512  # pixels of a picture of points, and the rest of it: our choice
_MARGIN = 0.25  # of the real points' extent, on each side
_BEHIND = 2000  # real points at most
_REAL, _DRAWN = (200, 200, 200), (0, 90, 180)


def of_samples(samples: Tensor, real: Tensor) -> Image.Image:
    """Return one picture of samples: a grid of images, or a plot of points over real ones."""
    return grid(samples) if samples.dim() == 4 else plot(samples, real)


def latents(law: Latents, count: int, seed: int, label: int | None = None) -> Tensor:
    """Return the latents of a run's pictures, (count, columns), by its seed alone.

    Labels, of a conditional generator, go round through the classes, or are all the given one.
    """
    labels = None
    if law.classes:
        labels = (
            torch.arange(count) % law.classes if label is None else torch.full((count,), label)
        )
    return law.draw(count, seed, "samples", labels=labels)


def plot(points: Tensor, real: Tensor) -> Image.Image:
    """Return points (N, D) over the first of the real ones, by their first two values.

    The extent is that of all real points, with a margin, so that pictures of one dataset can be
    laid beside each other; generated points beyond it stand at its edge.
    """
    drawn, known = _in_the_plane(points), _in_the_plane(real)
    centre, half = square(real)
    picture = Image.new("RGB", (_SIDE, _SIDE), "white")
    draw = ImageDraw.Draw(picture)
    for shown, colour in ((known[:_BEHIND], _REAL), (drawn, _DRAWN)):
        places = ((shown - centre) / half).clamp(-1, 1) * shown.new_tensor([1, -1])
        for x, y in (2 + (places + 1) / 2 * (_SIDE - 5)).tolist():
            draw.ellipse((x - 1.5, y - 1.5, x + 1.5, y + 1.5), fill=colour)
    return picture


def square(real: Tensor) -> tuple[Tensor, float]:
    """Return the centre (2,) of the real points' extent, and half the side of a square around it.

    The square has a margin of a quarter of the larger extent on each side.
    """
    known = _in_the_plane(real)
    low, high = known.amin(0), known.amax(0)
    return (low + high) / 2, (1 + 2 * _MARGIN) * max((high - low).max().item() / 2, 1e-6)


def _in_the_plane(points: Tensor) -> Tensor:
    """Return the first two values of points, in float64 on the CPU; a single one with 0."""
    flat = points.double().cpu().flatten(1)
    return flat[:, :2] if flat.shape[1] > 1 else torch.cat([flat, 0 * flat], dim=1)


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
