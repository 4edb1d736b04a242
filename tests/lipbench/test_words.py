"""Words of the package: its names, and numbers in sentences."""

from __future__ import annotations

import lipbench
from lipbench.words import counted


def test_the_functions_that_read_results_are_among_the_packages_names() -> None:
    assert set(lipbench.__all__) <= set(dir(lipbench))


def test_one_of_a_thing_is_in_the_singular() -> None:
    assert (counted(0, "run"), counted(1, "run"), counted(1000, "run")) == (
        "0 runs",
        "1 run",
        "1,000 runs",
    )
