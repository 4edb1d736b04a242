"""The tables of all runs: DataTables, as the package itables carries it, in one file."""

from __future__ import annotations

import functools
import importlib.resources
import re


@functools.cache
def code() -> str:
    """Return the library as the text of a module script, which puts it into `window.DataTable`."""
    bundle = _read("dt_bundle.js")
    *_, found = [None, *re.finditer(r"export\{[^}]*?([\w$]+) as default[^}]*\}", bundle)]
    if found is None:
        raise RuntimeError("this version of itables has another bundle: lipbench needs itables 2")
    exported = f"window.DataTable={found[1]}"
    return (bundle[: found.start()] + exported + bundle[found.end() :]).replace(
        "</script", "<\\/script"
    )


@functools.cache
def style() -> str:
    """Return the library's style sheet."""
    return _read("dt_bundle.css").replace("</style", "<\\/style")


def _read(name: str) -> str:
    return importlib.resources.files("itables").joinpath("html", name).read_text()
