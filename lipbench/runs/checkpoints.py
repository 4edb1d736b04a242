"""A run's checkpoint: a kill, a full disk or a damaged file costs an interval, not the run.

`checkpoint.pt` is what `torch.save` writes, sealed: the zip file's comment is the sha256 of all
bytes before it. While a run goes on, the checkpoint before it stays as `checkpoint.previous.pt`,
so that a sound one is there at each instant. A checkpoint also holds its run's spec.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import pickle
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from lipbench import atomic
from lipbench.errors import UserError
from lipbench.planning import spec
from lipbench.planning.spec import RunSpec

CURRENT, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"
_SEAL = b"lipbench sha256 "
_DIGITS = 64


class DamagedCheckpoint(Exception):  # noqa: N818 - it names what is so
    """A checkpoint that cannot be trusted; the message says why, and follows the file's name."""


class Foreign(DamagedCheckpoint):
    """Something that may be intact, and is no checkpoint of this run."""


@dataclass(frozen=True)
class Resumed:
    """The state that a run goes on from, or None, and what had to be passed over for it."""

    state: dict[str, Any] | None
    remarks: tuple[str, ...] = ()


def save(folder: Path, state: Mapping[str, Any], run: RunSpec) -> None:
    """Write the newest checkpoint of a run; the one before it is kept.

    Raises OSError where the disk refuses, and leaves a sound checkpoint.
    """
    import torch

    content = io.BytesIO()  # torch.save tells of a full disk as of a bug of its own
    torch.save({**state, "spec": run.to_json()}, content)
    current = folder / CURRENT
    with atomic.written(current, lambda file: _write_sealed(content, file)) as temporary:
        if current.exists():
            os.replace(current, folder / PREVIOUS)
        os.replace(temporary, current)


def load(folder: Path, run: RunSpec) -> dict[str, Any] | None:
    """Return the newest checkpoint, or None where there is none.

    Only tensors and plain values are loaded: a checkpoint cannot run code. Raises UserError for a
    damaged one.
    """
    newest = next(iter(_present(folder)), None)
    if newest is None:
        return None
    try:
        return _read(newest, run)
    except DamagedCheckpoint as damage:
        if newest.name == CURRENT and (folder / PREVIOUS).exists():
            advice = f"`lipbench run` goes on from {PREVIOUS}"
        else:
            advice = "to train this run anew, delete its folder and run its suite again"
        raise UserError(f"{newest} {damage}; {advice}") from damage


def resume(folder: Path, run: RunSpec) -> Resumed:
    """Return the newest checkpoint that is sound, and make it `checkpoint.pt`.

    A damaged one is deleted, and what may be intact but is not this run's is moved aside: a run
    that goes on never keeps such a file as its previous checkpoint.
    """
    remarks = []
    for path in _present(folder):
        try:
            state = _read(path, run)
        except DamagedCheckpoint as damage:
            remarks.append(f"{path.name} {damage}")
            if isinstance(damage, Foreign):
                path.rename(path.with_name(f"{path.name}.{time.time_ns()}"))
            else:
                path.unlink()
            continue
        if path.name == PREVIOUS:
            os.replace(path, folder / CURRENT)
        then = f"the run goes on from update {state['training'].get('update', 0):,}"
        return Resumed(state, _concluded(remarks, then))
    return Resumed(None, _concluded(remarks, "the run begins anew"))


def settle(folder: Path) -> None:
    """Remove the previous checkpoint of a run that has ended, once the last one is read back.

    Raises UserError where what is read is not what was written.
    """
    previous = folder / PREVIOUS
    if not previous.exists():
        return
    current = folder / CURRENT
    try:
        _check(_bytes(current))
    except DamagedCheckpoint as damage:
        raise UserError(
            f"{current} {damage}, though it was just written: the disk, or the memory, is at fault"
        ) from damage
    previous.unlink()


def exists(folder: Path) -> bool:
    """Return whether a run has a checkpoint, sound or not."""
    return bool(_present(folder))


def _present(folder: Path) -> list[Path]:
    """Return the checkpoints that are there, the newest first."""
    return [path for name in (CURRENT, PREVIOUS) if (path := folder / name).exists()]


def _concluded(remarks: list[str], then: str) -> tuple[str, ...]:
    return (f"{'; '.join(remarks)}; {then}",) if remarks else ()


def _write_sealed(content: io.BytesIO, file: BinaryIO) -> None:
    """Write a zip file with the sha256 of its bytes as its comment, whose length ends the zip."""
    content.seek(-2, io.SEEK_END)
    content.write((len(_SEAL) + _DIGITS).to_bytes(2, "little") + _SEAL)
    sealed = content.getbuffer()
    file.write(sealed)
    file.write(hashlib.sha256(sealed).hexdigest().encode())


def _read(path: Path, run: RunSpec) -> dict[str, Any]:
    """Return a checkpoint's state.

    Raises DamagedCheckpoint where it is not a sound one of this run.
    """
    import torch

    content = _bytes(path)
    _check(content)
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise Foreign("holds something other than tensors and plain values") from error
    except Exception as error:  # torch raises half a dozen kinds, with advice that is not ours
        if _is_of_memory(error):  # the file is sound
            raise
        raise Foreign(f"is damaged, or no file of torch's ({type(error).__name__})") from error
    if not isinstance(state, dict) or not isinstance(state.get("training"), dict):
        raise Foreign("is no checkpoint of a run")
    if "spec" in state and not spec.fits(state["spec"], run):
        raise Foreign("is another run's")
    return state


def _bytes(path: Path) -> bytes:
    try:
        if path.is_fifo():
            raise Foreign("is a pipe")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DamagedCheckpoint("is gone") from error
    except IsADirectoryError as error:
        raise Foreign("is a folder") from error
    except OSError as error:
        if error.errno != errno.EIO:  # no right to read it, for example, is no damage
            raise
        raise DamagedCheckpoint(f"is damaged ({error.strerror})") from error


def _check(content: bytes) -> None:
    """Raise DamagedCheckpoint where the content is not what was written.

    One without a seal is of an older lipbench: then the zip file's own checksums decide.
    """
    if content[-_DIGITS - len(_SEAL) : -_DIGITS] == _SEAL:
        digest = hashlib.sha256(memoryview(content)[:-_DIGITS]).hexdigest()
        if digest.encode() != content[-_DIGITS:]:
            raise DamagedCheckpoint("is damaged (its sha256 is not the one that was written)")
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            member = archive.testzip()
    except Exception as error:  # zipfile raises struct.error, NotImplementedError and others too
        if _is_of_memory(error):
            raise
        raise DamagedCheckpoint("is damaged (cut short, or overwritten)") from error
    if member is not None:
        raise DamagedCheckpoint(f"is damaged (the checksum of {member} differs)")


def _is_of_memory(error: Exception) -> bool:
    """Return whether memory ran out, which torch's allocator tells of as a RuntimeError."""
    return isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error)
