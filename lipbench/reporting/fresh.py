"""Whether a report is still that of its results: nothing of either has changed since."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.resources
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from lipbench.reporting.folder import LIST

_CODE = ("lipbench", "lipbench_reports", "lipbench_methods")
_DRAWS = ("matplotlib", "seaborn", "pandas", "itables")


def fingerprint(folders: Sequence[Path], asked: Iterable[str]) -> str:
    """Return a hash of what a report is made of: results, what is asked for, and code.

    Of a file it is the name, the size and the time of its last change, to the nanosecond. Empty
    where a folder cannot be read.
    """
    found = hashlib.sha256(json.dumps(list(asked)).encode())
    for package in _DRAWS:
        found.update(f"{package} {importlib.metadata.version(package)}\0".encode())
    try:
        for folder in [*map(_package, _CODE), *folders]:
            for line in sorted(_files(folder)):
                found.update(line.encode("utf-8", "surrogateescape"))
    except OSError:
        return ""
    return found.hexdigest()


def is_current(report: Path, made_of: str) -> bool:
    """Return whether a report was made of that, and holds what was written then."""
    try:
        listing = json.loads((report / LIST).read_bytes())
        if not made_of or listing["made_of"] != made_of:
            return False
        return all(
            name == LIST or hashlib.sha256((report / name).read_bytes()).hexdigest() == digest
            for name, digest in listing["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False  # of an older version, damaged, or not there


def listing(files: Mapping[str, bytes], made_of: str) -> bytes:
    """Return the content of LIST: each file with its hash, and what all were made of."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return json.dumps({"files": digests | {LIST: ""}, "made_of": made_of}, indent=1).encode()


def _package(name: str) -> Path:
    return Path(str(importlib.resources.files(name)))


def _files(folder: Path) -> Iterator[str]:
    """Yield a line for each file that results or code consist of."""
    pending = [str(folder)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.name.startswith(("report", ".", "__pycache__", "checkpoints")):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif entry.is_file():
                    about = entry.stat()
                    yield f"{entry.path} {about.st_size} {about.st_mtime_ns}\0"
