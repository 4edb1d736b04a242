"""Reports: what an exhibit is, and the files that a report consists of.

A plugin's exhibit needs what is named here, and `lipbench.results.Results`.
"""

from __future__ import annotations

from lipbench.reporting.exhibit import Exhibit, Figure, Omitted, Sentences, Shown, Table, exhibits
from lipbench.reporting.page import compose, render
from lipbench.reporting.style import Pen, pen, pens
from lipbench.reporting.svg import tag

__all__ = [
    "Exhibit",
    "Figure",
    "Omitted",
    "Pen",
    "Sentences",
    "Shown",
    "Table",
    "compose",
    "exhibits",
    "pen",
    "pens",
    "render",
    "tag",
]
