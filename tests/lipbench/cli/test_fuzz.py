"""Whatever stands in a suite, `--set` or `--only`: a plan, or a short refusal with its place."""

from __future__ import annotations

import re
import runpy
import time
from pathlib import Path

import pytest

from lipbench import protocols
from lipbench.errors import UserError
from lipbench.planning import only as only_
from lipbench.planning import resolve, suite
from lipbench.plugins import Plugins
from lipbench.tuning import study

FUZZ = runpy.run_path(str(Path(__file__).with_name("fuzz.py")))
OBJECT = re.compile(r"<[\w.]+ object|<class|<function|\bat 0x[0-9a-f]{6}|Traceback")


def outcome(path, assignments, only, cache):
    """Return the refusal of a suite, or None where there is a plan."""
    try:
        read, document = suite.read(path, assignments)
        registry = Plugins()
        if read.tune:
            study.study(read, document, registry, cache)
            return None
        plan = resolve.plan(read, document, registry, cache)
        if only is not None:
            only_.chosen(plan, only)
    except UserError as error:
        return str(error)
    return None


def refusal_of(path, what):
    """Return why a protocol's file is refused, or None where it is a protocol."""
    try:
        protocols.find(str(path), protocols.Sizes(50_000, 10_000))
    except UserError as error:
        return str(error)
    except Exception as error:
        raise AssertionError(what) from error
    return None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # Optuna's, of experimental samplers
def test_a_changed_suite_gives_a_plan_or_a_short_refusal_with_its_place(tmp_path, cache, soak):
    path = tmp_path / "some.yaml"
    quickstart = next(file for file in FUZZ["SHIPPED"] if file.stem == "quickstart")
    assert outcome(quickstart, [], None, cache) is None  # what is imported and computed once
    refused = 0
    for text, assignments, only, what in FUZZ["cases"](seed=soak - 1, count=152 * soak):
        path.write_bytes(text.encode())
        begin = time.process_time()  # other tests share the cores
        try:
            refusal = outcome(path, assignments, only, cache)
        except Exception as error:
            raise AssertionError(what) from error
        assert time.process_time() - begin < 2, what
        if refusal is None:
            continue
        refused += 1
        assert 1 <= len(refusal.splitlines()) <= 2, (what, refusal)
        assert len(refusal) < 1500, (what, refusal)
        assert not OBJECT.search(refusal), (what, refusal)
        placed = rf"({re.escape(str(path))}:\d+|--set .*|--only): "
        assert re.match(placed, refusal), (what, refusal)
    print(f"{152 * soak} changed suites, {refused} refused")
    assert refused > 50


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_changed_protocol_is_one_or_is_refused_with_its_line(tmp_path, soak):
    path = tmp_path / "mine.yaml"
    refused = 0
    for text, what in FUZZ["protocols"](seed=soak - 1, count=300 * soak):
        path.write_bytes(text.encode())
        refusal = refusal_of(path, what)
        if refusal is None:
            continue
        refused += 1
        assert re.match(rf"{re.escape(str(path))}:\d+: ", refusal), (what, refusal)
        assert len(refusal.splitlines()) <= 2, (what, refusal)
        assert not OBJECT.search(refusal), (what, refusal)
    print(f"{300 * soak} changed protocols, {refused} refused")
    assert refused > 100
