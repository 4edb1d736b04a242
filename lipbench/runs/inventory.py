"""Tell which run folder is which run: the spec inside decides, and its hash ends the name.

A folder of an older version, whose spec had another hash, is the run that its spec is by now.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipbench import records
from lipbench.planning import spec
from lipbench.planning.spec import RunSpec
from lipbench.records import Damaged

_HASH = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True)
class Listing:
    """The folders of one suite's results."""

    runs: dict[str, Path]  # by the hash of their specs
    others: dict[Path, str]  # that count as no run, with a sentence that says why


class Inventory:
    """Lists run folders again and again; a spec is read again only where its file has changed."""

    def __init__(self, folder: Path, planned: Callable[[], Mapping[str, RunSpec]]) -> None:
        """Take the folder of run folders, and what returns the planned specs by hash.

        Those are asked for only where a folder's name and its spec differ, since older versions
        renamed folders and left the spec as it was.
        """
        self._folder, self._planned = folder, planned
        self._judged: dict[str, tuple[tuple[int, int, int], _Judgement]] = {}

    def list(self) -> Listing:
        """Return the folders as they are now."""
        try:
            with os.scandir(self._folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except FileNotFoundError:
            return Listing({}, {})
        runs: dict[str, Path] = {}
        others: dict[Path, str] = {}
        planned = functools.cache(self._planned)
        for entry in entries:
            if entry.name.startswith(".") or not entry.is_dir():
                continue
            path, named = Path(entry.path), entry.name.rpartition("-")[2]
            hash_, reason = self._judgement(path, named, planned)
            if hash_ is None and reason:
                others[path] = f"{path}: {reason}"
            elif hash_ in runs:
                runs[hash_], copy = sorted((runs[hash_], path), key=_oddness)
                others[copy] = f"{copy}: the same run as {runs[hash_].name}, which counts"
            elif hash_ is not None:
                runs[hash_] = path
        return Listing(runs, others)

    def _judgement(
        self, path: Path, named: str, planned: Callable[[], Mapping[str, RunSpec]]
    ) -> _Judgement:
        try:
            stat = os.stat(path / "spec.json")
        except OSError:  # of a run that has not begun, or of something else
            return (named if _HASH.fullmatch(named) else None), ""
        mark = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if self._judged.get(path.name, (None,))[0] != mark:
            self._judged[path.name] = (mark, _judged(path, named, planned))
        return self._judged[path.name][1]


# The hash of the run that a folder is, or None, and then why it is none; empty: it is no run's.
_Judgement = tuple[str | None, str]


def _judged(path: Path, named: str, planned: Callable[[], Mapping[str, RunSpec]]) -> _Judgement:
    """Hold the spec in a folder against the hash in the folder's name.

    A spec that cannot be read says nothing: then the name counts.
    """
    plain = _plain(path)
    if plain is None:
        return named, ""
    inside = spec.digest(plain)
    if inside == named and plain.get("schema") == spec.SCHEMA:
        return named, ""
    try:
        current = spec.from_json(plain).hash
    except (ValueError, KeyError, TypeError, AttributeError):
        return named, ""
    if inside == named or current == named:
        return current, ""
    if named in planned() and spec.fits(plain, planned()[named]):
        return named, ""
    return None, f"its spec.json is of the run {_text(plain)}-{current}; it does not count"


def _plain(path: Path) -> dict[str, Any] | None:
    """Return the spec in a folder as plain JSON values, or None where it cannot be read."""
    try:
        plain = json.loads(records.content(path / "spec.json") or b"")
    except (OSError, ValueError, RecursionError, Damaged):
        return None
    return plain if isinstance(plain, dict) and "methods" in plain else None


def _text(plain: Mapping[str, Any]) -> str:
    """Return a spec's methods and seed, as far as they can be read."""
    try:
        text = "+".join(method["name"] for method in plain["methods"]) + f"-s{plain['seed']}"
    except (KeyError, TypeError):
        return "?"
    return text if re.fullmatch(r"[\w+-]{1,200}", text) else "?"


def _oddness(path: Path) -> tuple[bool, str]:
    """Return what sorts the folder of a run before copies of it: its name is as lipbench gave."""
    plain = _plain(path) or {}
    methods, _, seed = _text(plain).rpartition("-")
    named = path.name.startswith(f"{methods}-") and f"-{seed}-" in path.name
    return not named, path.name
