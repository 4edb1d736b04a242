"""Ways to damage a file or folder of results: `damages(path)` yields a name and what does it."""

from __future__ import annotations

import functools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

NESTED = b"[" * 100_000
HUGE = b"1" + 5000 * b"0"
_WRONG = (
    b"null", b'"x"', b"[1]", b'{"x": 1}', b"-1.5", b"true", b"NaN", b"-Infinity", b"1e999", HUGE,
)  # fmt: skip
_EACH = 2  # wrong values of a key, unless it is to be thorough

Damage = tuple[str, Callable[[], None]]


def damages(path: Path, thorough: bool = False) -> Iterator[Damage]:
    """Yield ways to damage what is at a path: a file (JSON, JSONL or another) or a folder.

    Each key of an object gets some wrong values, in turn, or all of them if it is to be thorough.
    """
    if path.is_dir():
        yield "a file", functools.partial(_as_file, path)
        yield "gone", functools.partial(shutil.rmtree, path)
        return
    content = path.read_bytes()
    for name, damaged in _contents(content):
        yield name, functools.partial(path.write_bytes, damaged)
    yield "a folder", functools.partial(_as_folder, path)
    yield "gone", path.unlink
    yield "a link to nothing", functools.partial(_as_link, path)
    yield "a pipe", functools.partial(_as_pipe, path)
    if os.geteuid() != 0:
        yield "unreadable", functools.partial(path.chmod, 0)
    if path.suffix in (".json", ".jsonl"):
        lines = content.splitlines() if path.suffix == ".jsonl" else [content]
        for name, damaged in _values(lines[len(lines) // 2], thorough):
            yield name, functools.partial(path.write_bytes, _with_middle(lines, damaged))


def _contents(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield whole contents that no file of results has."""
    yield "empty", b""
    yield "blank", b"\n\n"
    yield "null", b"null\n"
    yield "a list", b"[]\n"
    yield "a number", b"1\n"
    yield "a string", b'"x"\n'
    yield "an empty object", b"{}\n"
    yield "cut", content[: len(content) // 2]
    yield "cut, with an end", content[: len(content) // 2] + b"\n"
    yield "zeros", bytes(len(content))
    yield "zeros in the middle", content[: len(content) // 3] + bytes(40) + content[-20:]
    yield "not UTF-8", b"\xff\xfe" + content
    yield "UTF-16", content.decode("latin-1").encode("utf-16")
    yield "nested", NESTED
    yield "nested in an object", b'{"x": ' + NESTED + b"\n"
    yield "a huge number", HUGE + b"\n"
    yield "twice", content + content
    yield "a first line of garbage", b"{garbage\n" + content
    yield "garbage at the end", content + b"{garbage\n"


def _values(line: bytes, thorough: bool) -> Iterator[tuple[str, bytes]]:
    """Yield a JSON object without each of its keys, or with a wrong value there."""
    stored = json.loads(line)
    for index, key in enumerate(stored):
        yield f"without {key}", json.dumps({k: stored[k] for k in stored if k != key}).encode()
        place = json.dumps({**stored, key: "PLACE"}).encode()
        for number, wrong in enumerate(_WRONG):
            if thorough or (number - index) % len(_WRONG) < _EACH:
                yield f"{key} is {wrong[:9].decode()}", place.replace(b'"PLACE"', wrong)


def _with_middle(lines: list[bytes], line: bytes) -> bytes:
    middle = len(lines) // 2
    return b"".join(part + b"\n" for part in (*lines[:middle], line, *lines[middle + 1 :]))


def _as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _as_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("a file\n")


def _as_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _as_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "nowhere")
