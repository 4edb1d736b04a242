"""Holds: which process works on which run, where several share a folder.

A hold is a lock on a small file; it ends with its process, however that ends.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import IO, Any

from lipbench.runs import locks

_ATTEMPTS = 5
_PAUSE = 0.005


class Hold:
    """One run, held by this process until it is released."""

    def __init__(self, path: Path, file: IO[Any]) -> None:
        self._path, self._file = path, file

    def release(self) -> None:
        """Give the run up."""
        self._path.unlink(missing_ok=True)
        self._file.close()


def hold(path: Path) -> Hold | None:
    """Return the hold on what a path stands for, or None where another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(_ATTEMPTS):
        file = locks.acquire(path)
        if file is None:
            if attempt + 1 < _ATTEMPTS:  # who only asks, holds it for an instant
                time.sleep(_PAUSE)
            continue
        if _is_there(path, file):
            return Hold(path, file)
        file.close()  # released, and with that deleted, between the opening and the lock
    return None


def is_held(path: Path) -> bool:
    """Return whether somebody holds what a path stands for."""
    return bool(locks.is_held(path))


def _is_there(path: Path, file: IO[Any]) -> bool:
    try:
        return path.stat().st_ino == os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False
