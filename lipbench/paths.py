"""Where lipbench keeps what can be made again: decoded datasets, weights, real statistics."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """Return the cache folder: `$LIPBENCH_CACHE`, or `lipbench` in the user's own cache folder."""
    if given := os.environ.get("LIPBENCH_CACHE"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lipbench"
