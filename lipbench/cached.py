"""Values that are kept in the cache as JSON, each with a checksum: a damaged file is no value."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from lipbench import atomic
from lipbench.errors import UserError


def read(path: Path, key: object) -> Any | None:
    """Return the value that was written with this key; None without a sound file of this key."""
    try:
        stored = json.loads(path.read_bytes())
        sound = stored["key"] == _plain(key) and stored["sha256"] == _checksum(stored)
        return stored["value"] if sound else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def write(path: Path, key: object, value: object) -> None:
    """Write a JSON value with its key. Raises UserError where the cache cannot be written."""
    stored = {"key": _plain(key), "value": _plain(value)}
    content = json.dumps({**stored, "sha256": _checksum(stored)}, indent=1) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.replace_text(path, content)
    except OSError as error:
        raise refusal(path, error) from error


def refusal(path: Path, error: OSError) -> UserError:
    """Return the error of a cache file that cannot be written."""
    reason = error.strerror or str(error)
    return UserError(
        f"cannot write to the cache {path.parent}: {reason}; $LIPBENCH_CACHE moves it"
    )


def _plain(value: object) -> Any:
    """Return a value as JSON gives it back: lists for tuples."""
    return json.loads(json.dumps(value))


def _checksum(stored: dict[str, Any]) -> str:
    content = json.dumps([stored["key"], stored["value"]], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
