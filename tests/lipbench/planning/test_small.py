"""The small form of a suite: its key `small`, laid over the others."""

from __future__ import annotations

import json
import random
import re

import pytest

from lipbench.errors import UserError
from lipbench.planning import plan as plans
from lipbench.planning import resolve, suite
from lipbench.plugins import Plugins

from ..conftest import TINY

OVERLAY = """
small:
  seeds: [3, 4]
  budget: {generator_updates: 2}
  architecture: {width: 0.0625}
"""


@pytest.fixture
def small_plan_of(cache):
    """Return a function from a suite's file to the plan of its small form."""

    def small_plan_of(path, *assignments):
        read, document = suite.read(path, list(assignments), small=True)
        return resolve.plan(read, document, Plugins(), cache)

    return small_plan_of


def test_mappings_merge_and_everything_else_is_replaced(write):
    read, _ = suite.read(write(text=TINY + OVERLAY), [], small=True)
    assert read.seeds == [3, 4]
    assert read.budget.model_dump() == {
        "generator_updates": 2,
        "batch_size": 8,
        "generator_batch_size": 8,
        "schedule": "constant",
    }
    assert read.architecture.params == {"width": 0.0625}
    assert [entry.methods for entry in read.methods] == [{"none": {}}, {"spectral_norm": {}}]


def test_without_small_the_overlay_changes_nothing(write, plan_of):
    plain = plan_of(write())
    assert [run.spec.hash for run in plan_of(write(text=TINY + OVERLAY)).runs] == [
        run.spec.hash for run in plain.runs
    ]


@pytest.mark.parametrize(
    ("base", "overlay", "name", "params"),
    [
        ("dataset: digits", "dataset: mnist5k", "mnist5k", {}),
        ("dataset: digits", "dataset: {image_size: 32}", "digits", {"image_size": 32}),
        ("dataset: {name: images, path: P}", "dataset: digits", "digits", {}),
        (
            "dataset: {name: images, path: P}",
            "dataset: {name: gaussians, modes: 4}",
            "gaussians",
            {"modes": 4},
        ),
        (
            "dataset: {name: images, path: P, image_size: 32}",
            "dataset: {image_size: 16}",
            "images",
            {"path": "P", "image_size": 16},
        ),
    ],
)
def test_another_name_replaces_a_plugin_and_parameters_alone_go_to_the_one_there(
    write, base, overlay, name, params
):
    text = TINY.replace("dataset: digits", base) + f"small: {{{overlay}}}\n"
    read, _ = suite.read(write(text=text), [], small=True)
    assert (read.dataset.name, read.dataset.params) == (name, params)


def test_a_named_architecture_keeps_its_name_under_a_width(write):
    text = TINY + "small: {architecture: {width: 0.5}}\n"
    read, _ = suite.read(
        write(("architecture: {width: 0.125}", "architecture: mlp"), text=text), [], small=True
    )
    assert (read.architecture.name, read.architecture.params) == ("mlp", {"width": 0.5})


def test_a_small_run_is_the_run_of_a_suite_that_is_written_so(write, plan_of, small_plan_of):
    small = small_plan_of(write(text=TINY + OVERLAY))
    written = plan_of(
        write(
            ("generator_updates: 6", "generator_updates: 2"),
            ("0.125", "0.0625"),
            text=TINY + "seeds: [3, 4]\n",
        )
    )
    assert [run.id for run in small.runs] == [run.id for run in written.runs]
    assert len(small.runs) == 4


def test_the_small_form_has_a_name_of_its_own_which_set_can_change(write, small_plan_of):
    path = write(text=TINY + OVERLAY)
    assert small_plan_of(path).name == "tiny_small"
    assert small_plan_of(path, "name=other").name == "other"
    nameless = write(("name: tiny", ""), text=TINY + OVERLAY)
    assert small_plan_of(nameless).name == "tiny_small"


def test_set_is_applied_after_the_overlay(write, small_plan_of):
    path = write(text=TINY + OVERLAY)
    made = small_plan_of(path, "budget.generator_updates=3", "seeds=7")
    assert {run.spec.budget.generator_updates for run in made.runs} == {3}
    assert {run.spec.seed for run in made.runs} == {7}


def test_a_stored_plan_says_whether_it_is_the_small_form(write, plan_of, small_plan_of):
    path = write(text=TINY + OVERLAY)
    assert plans.from_json(json.loads(json.dumps(small_plan_of(path).to_json()))).small
    stored = plan_of(path).to_json()
    assert stored.pop("small") is False
    assert not plans.from_json(json.loads(json.dumps(stored))).small  # an older plan


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ("", r":2: tiny has no small form: no key 'small'"),
        ("small:\n", r":2: tiny has no small form: no key 'small'"),
        ("small: 3\n", r":10: small: got 3; it should be a mapping of names to values"),
        ("small: [digits]\n", r":10: small: got \['digits'\]; it should be a mapping"),
        ("small:\n  seeds: [0]\n  datset: digits\n", r":12: no key called 'datset'; did you mean"),
        (
            "small:\n  budget:\n    generator_updates: 0\n",
            r":12: budget.generator_updates: got 0; .*greater than or equal to 1",
        ),
        ("small:\n  budget: {updates: 3}\n", r":11: no key called 'budget.updates'"),
        ("small:\n  budget: 3\n", r":11: budget: got 3; it should be a mapping"),
        ("small:\n  settings: []\n", r":11: settings: got \[\]"),
        ("small:\n  small: {seeds: 1}\n", r":11: the small form has no small form of its own"),
        ("small:\n  methods: [nonee]\n", r":11: no method called 'nonee'; did you mean 'none'"),
        ("small:\n  dataset: {name: digit}\n", r":11: no dataset called 'digit'"),
        ("small:\n  protocol: miyato2018\n", r":11: protocol 'miyato2018' needs 10,000 test"),
    ],
)
def test_a_mistake_in_the_overlay_is_told_with_its_line(write, small_plan_of, overlay, message):
    path = write(text=TINY + overlay)
    with pytest.raises(UserError, match=re.escape(str(path)) + message):
        small_plan_of(path)


def test_a_set_on_the_overlay_itself_is_refused_in_the_small_form(write, small_plan_of):
    with pytest.raises(UserError, match=r"^--set small.seeds=1: the small form has no small form"):
        small_plan_of(write(text=TINY + OVERLAY), "small.seeds=1")


def test_an_unused_overlay_must_be_a_mapping_too(write, plan_of):
    with pytest.raises(UserError, match=r"tiny.yaml:10: small: got 3"):
        plan_of(write(text=TINY + "small: 3\n"))


VALUES = (
    "3", "~", "''", "[]", "{}", "[[]]", "true", "x", "{name: x}", "{name: [1]}", "{small: {}}",
    "-1", ".nan", "1e300", "{width: 0.1}", "{hinge: {}, wasserstein: {}}",
    "{generator_updates: 2}", "[{none: {}, setting: 3}]", "{[1]: x}", "&a [*a]", "!!set {a}",
)  # fmt: skip


def test_any_overlay_gives_a_plan_or_a_short_refusal_with_its_place(write, small_plan_of, soak):
    chance = random.Random(7)
    keys = [*suite.Suite.model_fields, "", "x", "²"]
    refused = 0
    for _ in range(150 * soak):
        chosen = chance.sample(keys, chance.choice((1, 1, 2, 3)))
        lines = "".join(f"  {key!r}: {chance.choice(VALUES)}\n" for key in chosen)
        path = write(text=f"{TINY}small:\n{lines}")
        refusal = None
        try:
            small_plan_of(path)
        except UserError as error:
            refusal = str(error)
        if refusal is not None:
            refused += 1
            assert re.match(rf"{re.escape(str(path))}:\d+: ", refusal), (lines, refusal)
            assert len(refusal.splitlines()) <= 2, (lines, refusal)
    assert refused > 50


def test_the_command_runs_the_small_form_in_a_folder_of_its_own(write, command, tmp_path):
    path, runs = write(text=TINY + OVERLAY), tmp_path / "runs"
    code, said = command("run", path, "--small", "--workers", 1, "--runs-dir", runs)
    assert code == 0, said
    assert sorted(folder.name for folder in runs.iterdir() if folder.is_dir())[-1] == "tiny_small"
    assert json.loads((runs / "tiny_small" / "plan.json").read_text())["small"] is True
    code, said = command("plan", path, "--small", "--runs-dir", runs)
    assert code == 0
    assert "tiny_small: the suite's small form" in said
    assert "4 completed" in said
    code, said = command("report", runs / "tiny_small")
    assert code == 0, said
    assert "small form (`--small`)" in (runs / "tiny_small" / "report" / "index.html").read_text()


def test_the_command_says_in_one_line_that_there_is_no_small_form(write, command):
    for name in ("run", "plan", "cost", "tune"):
        code, said = command(name, write(), "--small")
        assert code == 2
        assert said.strip().endswith("tiny.yaml:2: tiny has no small form: no key 'small'")
        assert len(said.strip().splitlines()) == 1
