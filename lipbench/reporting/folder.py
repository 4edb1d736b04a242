"""Replace a report in one step; files that no report wrote stay where they are."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from lipbench import atomic
from lipbench.errors import UserError

LIST = ".report.json"  # the names of a report's files, within it

# What a report owns that has no list, as older ones have none, or a damaged one.
_OF_REPORTS = re.compile(
    r"index\.html|(runs|trials|robustness)\.csv|runs\.parquet|tables/[^/]+\.(csv|md|tex)|figures/[^/]+\.(png|pdf|svg|csv)"
    r"|paper/(main|methods)\.tex|paper/references\.bib"
    r"|paper/tables/[^/]+\.tex|paper/figures/[^/]+\.(tex|pdf)"
)


def replace(folder: Path, files: Mapping[str, bytes], listing: bytes) -> None:
    """Make `folder` hold these files in an earlier report's place, or leave it as it is.

    `listing` is the content of LIST, an object whose `files` has the names of all.
    A report owns the files that it wrote. Others in the folder stay; where one stands in the way
    of a file, or where the folder holds no report but something else, this raises UserError.
    Raises OSError where a file cannot be written.
    """
    folder = folder.absolute()
    _clean(folder)
    files = {**files, LIST: listing}
    is_ours = _ownership(folder)
    _require_room(folder, files, is_ours)
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = atomic.folder_beside(folder)
    try:
        for name, content in files.items():
            path = new / "new" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        _keep(folder, new / "new", is_ours)
        if folder.exists():
            folder.rename(new / "old")
        try:
            (new / "new").rename(folder)
        except OSError:
            if (new / "old").exists():
                (new / "old").rename(folder)
            raise
        _keep(new / "old", folder, is_ours)  # what came in the meantime
    finally:
        if folder.exists() or not (new / "old").exists():  # never the only copy of a report
            shutil.rmtree(new, ignore_errors=True)


def _clean(folder: Path) -> None:
    """Remove what killed processes left beside a report; one that was moved aside comes back."""
    for left in atomic.folders_left(folder):
        if (left / "old").exists() and not os.path.lexists(folder):
            (left / "old").rename(folder)
        shutil.rmtree(left, ignore_errors=True)


def _ownership(folder: Path) -> Callable[[str], bool]:
    """Return whether a report owns a file of the folder, as a function of the file's name."""
    try:
        listed = json.loads((folder / LIST).read_bytes())["files"]
        return set(listed).__contains__
    except (OSError, ValueError, KeyError, TypeError):  # of a report without a list, or damaged
        return lambda name: name == LIST or _OF_REPORTS.fullmatch(name) is not None


def _is_report(folder: Path) -> bool:
    if (folder / LIST).exists():
        return True
    page = folder / "index.html"
    return page.is_file() and b'<meta name="generator" content="lipbench">' in page.read_bytes()


def _require_room(
    folder: Path, files: Mapping[str, bytes], is_ours: Callable[[str], bool]
) -> None:
    if os.path.lexists(folder) and not folder.is_dir():
        raise UserError(f"{folder} is no folder; name another one for the report")
    present = list(_within(folder))
    others = [name for name in present if not is_ours(name)]
    if present and not _is_report(folder):
        raise UserError(f"{folder} holds something else than a report; name another folder")
    taken = {str(part) for name in files for part in (Path(name), *Path(name).parents)}
    clash = [o for o in others if o in taken or any(str(p) in files for p in Path(o).parents)]
    if clash:
        raise UserError(
            f"the report has files called like these in {folder}, which no report wrote: "
            f"{', '.join(sorted(clash))}; move them, or name another folder"
        )


def _within(folder: Path) -> Iterator[str]:
    """Yield the names of all that a folder holds but folders with something in them."""

    def fail(error: OSError) -> None:  # a folder that cannot be read may hold something
        raise error

    for path, folders, names in os.walk(folder, onerror=fail) if folder.is_dir() else ():
        links = [name for name in folders if Path(path, name).is_symlink()]
        for name in [*names, *links]:
            yield str(Path(path, name).relative_to(folder))
        if not folders and not names and Path(path) != folder:
            yield str(Path(path).relative_to(folder))


def _keep(old: Path, new: Path, is_ours: Callable[[str], bool]) -> None:
    """Give a new folder the files of an old one that are not ours, and that it has not yet."""
    for name in _within(old):
        source, target = old / name, new / name
        if is_ours(name) or os.path.lexists(target):
            continue
        if source.is_dir() and not source.is_symlink():
            target.mkdir(parents=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError:  # a file system without hard links
            shutil.copy2(source, target, follow_symlinks=False)
