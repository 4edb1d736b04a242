"""Where lipbench keeps what can be made again: decoded datasets, weights, real statistics."""

from __future__ import annotations

import os
from pathlib import Path

from lipbench.errors import UserError


def cache_root() -> Path:
    """Return the cache folder: `$LIPBENCH_CACHE`, or `lipbench` in the user's own cache folder."""
    if given := os.environ.get("LIPBENCH_CACHE"):
        return expanded(given)
    return expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "lipbench"


def expanded(path: str | Path) -> Path:
    """Return a path with `~` or `~user` replaced; raise UserError where there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"{path}: {Path(path).parts[0]} stands for no home folder") from error
