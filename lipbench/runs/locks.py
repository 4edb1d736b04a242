"""Locks on files, the only place that takes any. A lock ends with its process, however that ends.

Some file systems have none (NFS and FUSE mounts, for example): taking a lock there raises
`NoLocks`. Whoever only reads asks `is_held`, which then has no answer.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from lipbench.errors import UserError

# What a file system without locks says; EINVAL and EBADF are NFS's and FUSE's.
_NONE = frozenset(
    {
        errno.ENOSYS,
        errno.ENOLCK,
        errno.EOPNOTSUPP,
        errno.ENOTSUP,
        errno.EINVAL,
        errno.EBADF,
    }
)


class NoLocks(UserError):  # noqa: N818 - it names what is so
    """A file is on a file system that has no locks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path}: this file system has no locks")


def acquire(path: Path, shared: bool = False, wait: bool = False) -> IO[bytes] | None:
    """Return a file, made where it is missing, that is locked until it is closed.

    None where another process holds it. Raises NoLocks where there are none, UserError where
    something else is in the file's place, OSError where it cannot be made.
    """
    try:
        if _is_pipe(path):
            raise UserError(f"{path} is a pipe; lipbench needs a file there: remove it")
        file = path.open("a+b")  # NFS wants a file readable to share it, writable to hold it
    except IsADirectoryError as error:
        raise UserError(f"{path} is a folder; lipbench needs a file there: remove it") from error
    try:
        if _take(file, shared, wait):
            return file
    except BaseException:
        file.close()
        raise
    file.close()
    return None


def share(file: IO[Any]) -> None:
    """Let others share the lock of a file that this process holds alone."""
    _take(file, shared=True, wait=True)


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Wait for a file's lock, and hold it within the block."""
    file = acquire(path, wait=True)
    assert file is not None
    with file:
        yield


@contextlib.contextmanager
def held_where_possible(path: Path) -> Iterator[None]:
    """Wait for a file's lock and hold it within the block, or go on without one.

    There is none where the file system has no locks, or the file cannot be made.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(UserError, OSError):
            stack.enter_context(held(path))
        yield


def is_held(path: Path) -> bool | None:
    """Return whether a process holds a file's lock; None where that cannot be known.

    Only a reader asks: it needs no right to write, and what is no file is no lock.
    """
    try:
        if _is_pipe(path):
            return False
        with path.open("rb") as file:
            return not _take(file, shared=True, wait=False)
    except NoLocks:
        return None
    except OSError:
        return False


def _is_pipe(path: Path) -> bool:
    """Return whether a path is a pipe: to open one is to wait for its other end."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return stat.S_ISFIFO(path.stat().st_mode)
    return False


def _take(file: IO[Any], shared: bool, wait: bool) -> bool:
    """Lock an open file; return whether it was free, or has become free."""
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NONE:
            raise NoLocks(Path(file.name)) from error
        raise
    return True
