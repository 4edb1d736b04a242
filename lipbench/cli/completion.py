"""What a shell completes: names of what is installed, and paths of results. Imports no torch.

A completion that cannot be made is none: nobody wants an error on the line that they type.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from lipbench.errors import UserError


def suites(incomplete: str) -> list[str]:
    """Return the installed suites, and the YAML files and folders of the path typed so far."""
    with _silent():
        from lipbench.planning import suite

        return [*_beginning(suite.installed(), incomplete), *_paths(incomplete, ".yaml", ".yml")]
    return []


def methods(incomplete: str) -> list[str]:
    """Return the installed methods."""
    return _plugins("methods", incomplete)


def examined(incomplete: str) -> list[str]:
    """Return what `lipbench check` can examine: plugins of every kind."""
    kinds = (methods, losses, datasets, architectures, measures)
    return [name for kind in kinds for name in kind(incomplete)]


def protocols(incomplete: str) -> list[str]:
    """Return the protocols that lipbench ships, and YAML files."""
    from lipbench.protocols import FITTED, PROTOCOLS

    names = _beginning([*PROTOCOLS, *FITTED], incomplete)
    return [*names, *_paths(incomplete, ".yaml", ".yml")]


def datasets(incomplete: str) -> list[str]:
    """Return the datasets."""
    return _plugins("datasets", incomplete)


def architectures(incomplete: str) -> list[str]:
    """Return the architectures."""
    return _plugins("architectures", incomplete)


def losses(incomplete: str) -> list[str]:
    """Return the losses."""
    return _plugins("losses", incomplete)


def measures(incomplete: str) -> list[str]:
    """Return the measures."""
    return _plugins("measures", incomplete)


def kinds(incomplete: str) -> list[str]:
    """Return the kinds of plugins that `lipbench new` writes."""
    from lipbench import scaffold

    return _beginning(scaffold.kinds(), incomplete)


def plugin_files(incomplete: str) -> list[str]:
    """Return Python files and folders of the path typed so far."""
    return _paths(incomplete, ".py")


def results(incomplete: str) -> list[str]:
    """Return the results in `runs`, and the folders of the path typed so far: runs are such."""
    usual = [str(path.parent) for path in _plans(Path("runs"))]
    typed = [path for path in _paths(incomplete) if path.rstrip("/") not in [*usual, "runs"]]
    return [*_beginning(usual, incomplete), *typed]


def devices(incomplete: str) -> list[str]:
    """Return the devices' names; those of a second GPU and so on follow from the first's."""
    return _beginning(("cpu", "cuda", "cuda:0"), incomplete)


def _plugins(kind: str, incomplete: str) -> list[str]:
    with _silent():
        from lipbench.plugins import Registry

        return _beginning(Registry(kind).plugins, incomplete)
    return []


def _plans(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from sorted(folder.glob("*/plan.json"))


def _paths(incomplete: str, *suffixes: str) -> list[str]:
    """Return the folders, with a slash, and the files of some suffixes that begin so."""
    found = []
    with contextlib.suppress(OSError, ValueError):
        head, slash, name = incomplete.rpartition("/")
        folder = Path(head or "/") if slash else Path()
        for path in sorted(folder.iterdir()):
            if not path.name.startswith(name) or (path.name.startswith(".") and not name):
                continue
            if path.is_dir():
                found.append(f"{head}{slash}{path.name}/")
            elif path.suffix in suffixes:
                found.append(f"{head}{slash}{path.name}")
    return found


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))


def _silent() -> contextlib.AbstractContextManager[object]:
    """Return what keeps a broken installation from an error while somebody types."""
    return contextlib.suppress(UserError, OSError)
