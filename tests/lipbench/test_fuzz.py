"""Whatever stands in a suite, `--set` or `--only`: a plan, or a short refusal with its place."""

from __future__ import annotations

import re
import runpy
import time
from pathlib import Path

import pytest

from lipbench import plan as plans
from lipbench import resolve, suite
from lipbench.errors import UserError
from lipbench.plugins import Registry
from lipbench.tuning import study

FUZZ = runpy.run_path(str(Path(__file__).with_name("fuzz.py")))
OBJECT = re.compile(r"<[\w.]+ object|<class|<function|\bat 0x[0-9a-f]{6}|Traceback")


def outcome(path, assignments, only, cache):
    """Return the refusal of a suite, or None where there is a plan."""
    try:
        read, document = suite.read(path, assignments)
        registry = Registry("methods")
        if read.tune:
            study.study(read, document, registry, cache)
            return None
        plan = resolve.plan(read, document, registry, cache)
        if only is not None:
            plans.only(plan, plans.parse_only(only))
    except UserError as error:
        return str(error)
    return None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # Optuna's, of experimental samplers
def test_a_changed_suite_gives_a_plan_or_a_short_refusal_with_its_place(tmp_path, cache):
    path = tmp_path / "some.yaml"
    quickstart = next(file for file in FUZZ["SHIPPED"] if file.stem == "quickstart")
    assert outcome(quickstart, [], None, cache) is None  # what is imported and computed once
    refused = 0
    for text, assignments, only, what in FUZZ["cases"](seed=0, count=152):
        path.write_bytes(text.encode())
        begin = time.perf_counter()
        try:
            refusal = outcome(path, assignments, only, cache)
        except Exception as error:
            raise AssertionError(what) from error
        assert time.perf_counter() - begin < 2, what
        if refusal is None:
            continue
        refused += 1
        assert 1 <= len(refusal.splitlines()) <= 2, (what, refusal)
        assert len(refusal) < 1500, (what, refusal)
        assert not OBJECT.search(refusal), (what, refusal)
        placed = rf"({re.escape(str(path))}:\d+|--set .*|--only): "
        assert re.match(placed, refusal), (what, refusal)
    assert refused > 50
