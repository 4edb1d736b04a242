"""The pixels of images: what a file becomes, as uint8 arrays.

Whatever Pillow reads with 8 bits a channel of gray, RGB, CMYK, YCbCr or a palette. In this order:
the first frame or page; rotated as its EXIF orientation says; transparent pixels over white (our
choice, as a browser's page); gray where the format is gray or all colours of its pixels' palette
are; cropped to the middle square and scaled (bicubic, unless told) where its size is another. A
dataset is gray if its first image is. Pillow reads colour images of 16 bits a channel by their
high bytes.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lipbench import machine
from lipbench.data.files import Files, formats, shown

VERSION = 2  # of the code here; a change of it makes another dataset
_PART = 10_000  # images that wait in memory to be put into their array, at most
_WHITE = (255, 255, 255, 255)
_GRAY_MODES = {"1", "L", "LA", "La"}
_MODES = _GRAY_MODES | {"P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}  # of 8 bits


@dataclass(frozen=True)
class Picture:
    """One decoded image: upright, opaque, in mode L (gray) or RGB, at its own size."""

    image: Image.Image
    has_frames: bool  # whether its file has more of them than this one


@dataclass(frozen=True)
class Decoded:
    """Images as one array, and what was left out of some of them."""

    images: np.ndarray  # uint8 (N, H, W, C)
    with_frames: int  # how many files have more frames than the one decoded
    cropped: int  # how many were not square


def shape(files: Files, image_size: int | None) -> tuple[int, int, int]:
    """Return the shape (C, H, W) that images are decoded to, by the first one of them.

    Raises UserError where that one is not square and no size, in pixels, is told.
    """
    first = picture(files, files.names[0]).image
    if image_size is None and first.width != first.height:
        raise files.refuse(
            files.names[0],
            f"is {first.width} x {first.height}, not square; give dataset.image_size to crop "
            "and scale the images",
        )
    size = image_size or first.width
    return (1 if first.mode == "L" else 3), size, size


def picture(files: Files, name: str) -> Picture:
    """Return one image; raise UserError, with its name, where it cannot be decoded."""
    with _pillows_warnings():
        return _picture(files, name)


def decode(files: Files, names: tuple[str, ...], size: int, channels: int) -> Decoded:
    """Return images of (size, size, channels); raise UserError where one cannot be decoded."""
    images = np.empty((len(names), size, size, channels), dtype=np.uint8)
    return decode_into(images, files, names)


def decode_into(
    images: np.ndarray,
    files: Files,
    names: tuple[str, ...],
    scaling: Image.Resampling | None = Image.Resampling.BICUBIC,
) -> Decoded:
    """Fill an array (N, S, S, C) with images; raise UserError where one cannot be decoded.

    Without a `scaling`, an image of another size is refused too. Names are taken in parts: the
    array may be larger than the memory.
    """
    _, size, _, channels = images.shape
    with_frames = cropped = 0
    with _pillows_warnings(), ThreadPoolExecutor(machine.cores()) as pool:
        try:
            for start in range(0, len(names), _PART):
                part = names[start : start + _PART]
                decoded = pool.map(lambda n: _pixels(files, n, size, channels, scaling), part)
                for index, (pixels, has_frames, is_square) in enumerate(decoded, start):
                    images[index] = pixels
                    with_frames += has_frames
                    cropped += not is_square
        except BaseException:
            pool.shutdown(cancel_futures=True)  # a refusal need not wait for the other images
            raise
    return Decoded(images, with_frames, cropped)


@contextmanager
def _pillows_warnings() -> Iterator[None]:
    """Refuse images that Pillow holds for bombs; its notes on metadata concern no pixels.

    Filters are a process's: this encloses the threads that decode.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _picture(files: Files, name: str) -> Picture:
    content = files.read(name)
    try:
        image = Image.open(io.BytesIO(content), formats=sorted(set(formats().values())))
    except UnidentifiedImageError as error:  # its text names an object in memory
        why = "it is empty" if not content else "no image format that Pillow reads"
        raise files.refuse(name, f"is not a readable image ({why})") from error
    except Exception as error:  # Pillow's readers raise nearly everything for damaged files
        raise _unreadable(files, name, error) from error
    try:
        has_frames = bool(getattr(image, "is_animated", False))
        upright = ImageOps.exif_transpose(image)
    except Exception as error:
        raise _unreadable(files, name, error) from error
    if upright.mode not in _MODES:
        raise files.refuse(
            name,
            f"has the mode {upright.mode}, not 8 bits a channel of gray, RGB, CMYK or a palette",
        )
    return Picture(_opaque(upright), has_frames)


def _unreadable(files: Files, name: str, error: Exception) -> Exception:
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        reason = f"has more than {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller"
        return files.refuse(name, reason)
    lines = str(error).splitlines() or [type(error).__name__]
    return files.refuse(name, f"is not a readable image ({lines[0]})")


def _opaque(image: Image.Image) -> Image.Image:
    """Return an image in mode L, if it is gray, or RGB."""
    gray = image.mode in _GRAY_MODES
    palette = image.mode in {"P", "PA"}
    if palette or image.has_transparency_data:
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, _WHITE), over).convert("RGB")
    if palette:
        pixels = np.asarray(image)
        gray = bool((pixels == pixels[..., :1]).all())
    return image.convert("L" if gray else "RGB")


def _pixels(
    files: Files, name: str, size: int, channels: int, scaling: Image.Resampling | None
) -> tuple[np.ndarray, bool, bool]:
    """Return an image's pixels, whether its file has more frames, and whether it was square."""
    made = _picture(files, name)
    image = made.image
    if channels == 1 and image.mode != "L":
        first = shown(files.names[0])
        raise files.refuse(
            name, f"has colours, but {first} is gray; a dataset is gray if its first image is"
        )
    image = image.convert("L" if channels == 1 else "RGB")
    width, height = image.size
    if image.size != (size, size):
        if scaling is None:
            raise files.refuse(
                name,
                f"is {width} x {height}, the first image {size} x {size}; give "
                "dataset.image_size to crop and scale the images",
            )
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        image = image.crop((left, top, left + side, top + side))
        image = image.resize((size, size), scaling)
    pixels = np.asarray(image).reshape(size, size, channels)
    return pixels, made.has_frames, width == height
