"""The pixels of images: formats, rotation, transparency, gray, and files that are refused."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from lipbench.data import decoding
from lipbench.data.files import Files
from lipbench.errors import UserError

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def decoded(*contents: bytes, size: int = 2, channels: int = 3) -> decoding.Decoded:
    """Return files of these contents, decoded."""
    files = of(*contents)
    return decoding.decode(files, files.names, size, channels)


def of(*contents: bytes) -> Files:
    by_name = {f"a/{index}.png": content for index, content in enumerate(contents)}
    return Files(Path("set"), tuple(by_name), (), "", by_name.__getitem__)


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def filled(mode: str, colour: object, size: tuple[int, int] = (2, 2)) -> Image.Image:
    return Image.new(mode, size, colour)  # type: ignore[arg-type]


def refusal(content: bytes, channels: int = 3) -> str:
    with pytest.raises(UserError) as refused:
        decoded(content, channels=channels)
    message = str(refused.value)
    assert message.startswith("set: a/0.png ")
    assert "\n" not in message
    assert " object at 0x" not in message
    return message


@pytest.mark.parametrize(
    ("image", "options", "expected"),
    [
        (filled("RGBA", (255, 0, 0, 0)), {}, WHITE),  # nothing of the hidden colour is left
        (filled("RGBA", (255, 0, 0, 255)), {}, RED),
        (filled("RGBA", (0, 0, 0, 51)), {}, (204, 204, 204)),  # a fifth black over white
        (filled("LA", (0, 0)), {}, WHITE),
        (filled("LA", (40, 255)), {}, (40, 40, 40)),
        (filled("RGB", (9, 9, 9)), {"transparency": (9, 9, 9)}, WHITE),
        (filled("RGB", (9, 9, 8)), {"transparency": (9, 9, 9)}, (9, 9, 8)),
        (filled("L", 9), {"transparency": 9}, WHITE),
        (filled("1", 0), {"transparency": 0}, WHITE),
        (filled("RGB", RED).convert("P"), {}, RED),
        (filled("P", 0), {"transparency": 0}, WHITE),
        (filled("P", 0), {"transparency": bytes([0, 255])}, WHITE),
        (filled("1", 1), {}, WHITE),
    ],
)
def test_transparent_pixels_are_laid_over_white(
    image: Image.Image, options: dict[str, object], expected: tuple[int, int, int]
) -> None:
    pixels = decoded(saved(image, **options)).images
    assert (pixels == expected).all()


def test_cmyk_is_converted_to_rgb() -> None:
    content = saved(filled("CMYK", (0, 255, 255, 0), (16, 16)), "TIFF")
    assert (decoded(content, size=16).images == RED).all()


@pytest.mark.parametrize(
    "content",
    [
        saved(filled("L", 7)),
        saved(filled("LA", (7, 255))),
        saved(filled("L", 7).convert("P")),
        saved(filled("L", 7), "GIF"),
        saved(filled("L", 7), transparency=3),
    ],
)
def test_a_gray_image_is_gray_whatever_its_format(content: bytes) -> None:
    assert decoding.picture(of(content), "a/0.png").image.mode == "L"
    assert (decoded(content, channels=1).images == 7).all()


@pytest.mark.parametrize(
    "content", [saved(filled("RGB", (7, 7, 7))), saved(filled("RGB", RED).convert("P"))]
)
def test_a_coloured_image_among_gray_ones_is_refused(content: bytes) -> None:
    assert "has colours, but a/0.png is gray" in refusal(content, channels=1)


def corner(orientation: int) -> Image.Image:
    """Return a decoded image that was stored blue, with one red corner, at the top left."""
    image = filled("RGB", BLUE, (32, 32))
    image.paste(RED, (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(image, "JPEG", quality=95, exif=exif)
    return decoding.picture(of(content), "a/0.png").image


@pytest.mark.parametrize(
    ("orientation", "at"),
    [
        (1, (4, 4)),
        (2, (28, 4)),
        (3, (28, 28)),
        (4, (4, 28)),
        (5, (4, 4)),
        (6, (28, 4)),  # as a phone that is held upright stores it
        (7, (28, 28)),
        (8, (4, 28)),
    ],
)
def test_images_are_rotated_as_their_exif_orientation_says(
    orientation: int, at: tuple[int, int]
) -> None:
    red, _, blue = corner(orientation).getpixel(at)  # type: ignore[misc]
    assert red > 200 > 100 > blue


def test_a_rotation_swaps_the_sides() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = saved(filled("RGB", RED, (8, 4)), exif=exif)
    assert decoding.picture(of(content), "a/0.png").image.size == (4, 8)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("JPEG", "L"), ("PPM", "L"), ("PPM", "1"), ("PPM", "RGB"), ("BMP", "RGB"), ("TIFF", "RGB"),
     ("WEBP", "RGB"), ("GIF", "RGB"), ("JPEG2000", "RGB"), ("TGA", "RGB"), ("AVIF", "RGB")],
)  # fmt: skip
def test_formats_of_pillow_are_decoded(kind: str, mode: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    image = filled(mode, 1 if mode == "1" else 200 if mode == "L" else (200, 200, 200), (16, 16))
    pixels = decoded(saved(image, kind), size=16).images
    assert abs(pixels.astype(int) - (255 if mode == "1" else 200)).max() <= 3


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP"])
def test_of_several_frames_the_first_is_used_and_the_files_are_counted(kind: str) -> None:
    frames = saved(filled("RGB", RED), kind, save_all=True, append_images=[filled("RGB", BLUE)])
    found = decoded(frames, saved(filled("RGB", RED)))
    assert found.with_frames == 1
    assert (found.images[..., 0] > 200).all()


def test_images_of_other_sizes_are_cropped_to_the_middle_and_counted() -> None:
    wide = np.zeros((8, 24, 3), dtype=np.uint8)
    wide[:, 8:16] = 200  # the middle square
    contents = [saved(Image.fromarray(wide)), saved(filled("RGB", (200,) * 3, (4, 4)))]
    found = decoded(*contents, size=16)
    assert found.images.shape == (2, 16, 16, 3)
    assert (found.images == 200).all()
    assert found.cropped == 1


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"".join(
        (b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b""))
    )


def test_colours_of_16_bits_keep_their_high_bytes() -> None:
    rows = zlib.compress((b"\0" + bytes([200, 99, 100, 99, 50, 99]) * 2) * 2)
    assert (decoded(png(2, 2, 16, 2, rows)).images == (200, 100, 50)).all()


@pytest.mark.parametrize(
    ("content", "mode"),
    [
        (saved(Image.fromarray(np.full((2, 2), 3000, dtype=np.uint16))), "I;16"),
        (saved(filled("F", 0.5), "TIFF"), "F"),
        (saved(filled("I", 70000), "TIFF"), "I"),
        (saved(filled("LAB", (1, 2, 3)), "TIFF"), "LAB"),
    ],
)
def test_modes_that_would_lose_their_values_are_refused(content: bytes, mode: str) -> None:
    assert f"has the mode {mode}, not 8 bits a channel" in refusal(content)


WHOLE = saved(Image.effect_noise((32, 32), 50))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a readable image (it is empty)"),
        (b"hello", "is not a readable image (no image format that Pillow reads)"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no image format"),
        (WHOLE[:100], "is not a readable image ("),
        (WHOLE[:-20] + b"xxxx" + WHOLE[-16:], "is not a readable image ("),
        (saved(filled("RGB", RED, (64, 64)), "JPEG")[:400], "is not a readable image ("),
        (png(50_000, 50_000, 1, 0, b""), "has more than 89,478,485 pixels"),
        (png(13_000, 13_000, 1, 0, b""), "has more than 89,478,485 pixels"),
        (png(2**31 - 1, 2**31 - 1, 8, 2, b""), "has more than 89,478,485 pixels"),
    ],
)
def test_a_file_that_cannot_be_decoded_is_refused_by_name(content: bytes, message: str) -> None:
    assert message in refusal(content)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM"])
def test_damage_anywhere_gives_pixels_or_one_line(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    sound = saved(
        Image.effect_noise((16, 16), 50), kind, **({} if kind == "PPM" else {"exif": exif})
    )
    generator = np.random.default_rng(0)
    lines = []
    for _ in range(150):
        damaged = bytearray(sound)
        for at in generator.integers(0, len(sound), generator.integers(1, 4)):
            damaged[at] = generator.integers(0, 256)
        try:
            assert decoded(bytes(damaged), size=16).images.shape == (1, 16, 16, 3)
        except UserError as error:
            lines += str(error).splitlines() or [""]
    assert all(line.startswith("set: a/0.png ") for line in lines)
    assert not any(" object at 0x" in line for line in lines)


def test_pillows_warnings_on_metadata_do_not_reach_the_user() -> None:
    content = saved(filled("RGB", RED, (16, 16)), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decoded(content, size=16).images.shape == (1, 16, 16, 3)


def test_nothing_but_image_formats_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[list[str]] = []
    real: Callable[..., Image.Image] = Image.open

    def open_(file: io.BytesIO, formats: list[str]) -> Image.Image:
        opened.append(formats)
        return real(file, formats=formats)

    monkeypatch.setattr(Image, "open", open_)
    decoded(saved(filled("RGB", RED)))
    assert "PNG" in opened[0]
    assert not {"EPS", "WMF", "MPEG", "PDF"} & set(opened[0])
