"""Cite papers in LaTeX, and write the BibTeX of those that were cited."""

from __future__ import annotations

import contextlib
import importlib.resources
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lipbench import bibliography
from lipbench.bibliography import Paper
from lipbench.errors import UserError
from lipbench.plugins import Plugin, Plugins
from lipbench.reporting.latex import escaped

Named = Mapping[str, Sequence[Paper]]  # the papers of methods' plugins, by the plugins' names


def library() -> dict[str, Paper]:
    """Return the papers that lipbench knows, by key: its own and those of built-in plugins."""
    files = (
        importlib.resources.files("lipbench_methods") / "references.bib",
        importlib.resources.files("lipbench.losses") / "references.bib",
        importlib.resources.files("lipbench.datasets") / "references.bib",
        importlib.resources.files("lipbench.architectures") / "references.bib",
        importlib.resources.files("lipbench.measures") / "references.bib",
        importlib.resources.files("lipbench.reporting") / "references.bib",
    )
    return {
        key: paper
        for file in files
        for key, paper in bibliography.parse(file.read_text(encoding="utf-8")).items()
    }


def of_methods(names: Iterable[str], plugins: Sequence[Path]) -> Named:
    """Return the papers that methods name; none of a method whose file is gone, or says none.

    `plugins` are a user's own files. No file is imported.
    """
    methods = _known(plugins).methods.plugins
    return {name: _named(methods.get(name)) for name in names}


def of_loss(name: str, plugins: Sequence[Path]) -> tuple[str, list[Paper]]:
    """Return what a paper calls a loss, and the papers that it names; see `of_methods`."""
    plugin = _known(plugins).losses.plugins.get(name)
    return plugin.title if plugin else name, _named(plugin)


def of_architecture(name: str, plugins: Sequence[Path]) -> tuple[str, list[Paper]]:
    """Return what a paper calls an architecture, and the papers that it names."""
    plugin = _known(plugins).architectures.plugins.get(name)
    return plugin.title if plugin else name, _named(plugin)


def of_measures(names: Iterable[str], plugins: Sequence[Path]) -> Named:
    """Return the papers that measures name; see `of_methods`."""
    measures = _known(plugins).measures.plugins
    return {name: _named(measures.get(name)) for name in names}


def of_dataset(name: str, plugins: Sequence[Path]) -> tuple[str, list[Paper], str]:
    """Return what a paper calls a dataset, its papers, and how its splits came about."""
    plugin = _known(plugins).datasets.plugins.get(name)
    return (
        plugin.title if plugin else name,
        _named(plugin),
        plugin.written("splits") if plugin else "",
    )


def _known(files: Sequence[Path]) -> Plugins:
    try:
        return Plugins([path for path in files if path.is_file()])
    except UserError:  # a file that has come to have the name of another plugin
        return Plugins()


def _named(plugin: Plugin | None) -> list[Paper]:
    if plugin is not None:
        with contextlib.suppress(UserError, OSError, UnicodeDecodeError):  # a key without an entry
            return bibliography.papers(plugin.papers, plugin.path)
    return []


class Citations:
    """What a text cites, in order. Two papers of one key have two keys."""

    def __init__(self, known: Mapping[str, Paper]) -> None:
        self._known = known
        self._cited: dict[str, Paper] = {}

    def __call__(self, *papers: str | Paper) -> str:
        r"""Return ` \cite{...}` of papers, given whole or by their keys; nothing without any."""
        keys = [self._key(self._known[p] if isinstance(p, str) else p) for p in papers]
        return rf"~\cite{{{','.join(dict.fromkeys(keys))}}}" if keys else ""

    def bibtex(self) -> str:
        """Return the entries of all that was cited, as ASCII."""
        entries = [
            paper.bibtex.replace(paper.key, key, 1) for key, paper in sorted(self._cited.items())
        ]
        return "\n\n".join(map(_ascii, entries)) + "\n" if entries else ""

    def _key(self, paper: Paper) -> str:
        plain = re.sub("[^A-Za-z0-9.:+/-]+", "-", paper.key).strip("-") or "paper"
        for key in (plain, *(f"{plain}-{number}" for number in range(2, 1000))):
            if self._cited.setdefault(key, paper).bibtex == paper.bibtex:
                return key
        raise ValueError(f"too many papers are called {paper.key}")


def _ascii(entry: str) -> str:
    return re.sub(r"[^\x00-\x7f]+", lambda found: f"{{{escaped(found[0])}}}", entry)
