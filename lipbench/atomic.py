"""Replace a file in one step: a reader, or a crash, sees the old content or the new one."""

from __future__ import annotations

import contextlib
import functools
import glob
import hashlib
import os
import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

_SUFFIX = ".tmp"
_OURS = re.compile(r"\..+\.(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-\w+\.tmp")
_OLDER = re.compile(r"\..+\.(json|jsonl|npz|png|pt|safetensors|txt)\.[a-z0-9_]{8}")
_ABANDONED_SECONDS = 24 * 3600  # no write takes as long; our choice


def replace(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk and rename it to `path`.

    Raises OSError (a full disk, a folder that cannot be written) and leaves `path` as it was.
    """
    with written(path, write) as temporary:
        os.replace(temporary, path)


def replace_text(path: Path, text: str) -> None:
    """Replace `path` by a UTF-8 text."""
    replace(path, lambda file: file.write(text.encode()))


@contextlib.contextmanager
def written(path: Path, write: Callable[[BinaryIO], object]) -> Iterator[Path]:
    """Yield a temporary file beside `path`, filled by `write` and on the disk, to be renamed.

    It is removed at the end, unless it was renamed. Raises OSError as `replace` does.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path), suffix=_SUFFIX)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would hide results from colleagues
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def folder_beside(path: Path) -> Path:
    """Make a temporary folder beside `path`, and return it; the caller removes it."""
    return Path(tempfile.mkdtemp(dir=path.parent, prefix=_prefix(path), suffix=_SUFFIX))


def folders_left(path: Path) -> list[Path]:
    """Return the temporary folders beside `path` that killed processes left."""
    found = path.parent.glob(f".{glob.escape(path.name)}.*{_SUFFIX}")
    return [folder for folder in found if folder.is_dir() and _is_left(folder)]


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files in a folder that killed processes left there.

    The file of a process that lives, or of another machine's, stays for a day. A file that cannot
    be deleted stays too: it does no harm.
    """
    for path in folder.glob(".*") if folder.is_dir() else ():
        if path.is_file() and _is_left(path):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _is_left(path: Path) -> bool:
    """Return whether a path is a temporary one that no process will rename."""
    ours = _OURS.fullmatch(path.name)
    if not (ours or _OLDER.fullmatch(path.name)):
        return False
    if ours and ours["machine"] == _machine() and not _is_alive(int(ours["process"])):
        return True
    with contextlib.suppress(FileNotFoundError):
        return time.time() - path.stat().st_mtime > _ABANDONED_SECONDS
    return False


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        pass
    return True


def _prefix(path: Path) -> str:
    return f".{path.name}.{_machine()}-{os.getpid()}-"


@functools.cache
def _machine() -> str:
    """Return 8 hex digits that stand for this machine, and for this container on it."""
    try:
        processes = os.readlink("/proc/self/ns/pid")
    except OSError:
        processes = ""
    return hashlib.sha256(f"{socket.gethostname()} {processes}".encode()).hexdigest()[:8]
