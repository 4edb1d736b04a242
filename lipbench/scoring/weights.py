"""Read a weights file only if its content is the one that a protocol pins."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lipbench.errors import UserError


def digest(data: bytes) -> str:
    """Return the sha256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def read(path: Path, sha256: str) -> bytes:
    """Return a file's content; raise UserError if it is missing or its sha256 is another."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the weights {path}: {error.strerror or error}") from error
    if digest(data) != sha256:
        raise UserError(
            f"the weights {path} have the sha256 {digest(data)}, not {sha256}; "
            "scores are only defined on the latter"
        )
    return data
