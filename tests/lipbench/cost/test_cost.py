"""What methods cost side by side: the cases, their order, the arithmetic and the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
import torch

from lipbench.cli import cost, main
from lipbench.cost import side_by_side
from lipbench.cost.side_by_side import Sample, TimedMethod
from lipbench.cost.usage import Energy, PeakDevice
from lipbench.errors import UserError
from lipbench.planning.plan import Plan
from lipbench.planning.spec import (
    ArchitectureSpec,
    Budget,
    DatasetSpec,
    LossSpec,
    MethodSpec,
    RunSpec,
)
from lipbench.planning.suite import MIYATO2018
from lipbench.plugins import Plugins
from lipbench.runs.suite_folder import SuiteFolder

CPU = torch.device("cpu")
SLEEP = 0.1  # long beside what a busy machine adds

SLEEPER = f'''
"""A method that takes its time: {SLEEP} seconds in each update of D."""
import time
from lipbench.method import Method

class Sleeper(Method):
    """Sleep."""
    label = "sleeper"

    def penalty(self, discriminator, batch):
        time.sleep({SLEEP})
        return batch.real.new_zeros(())
'''


@pytest.fixture
def registry() -> Plugins:
    return Plugins()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a timed sample be one update."""
    monkeypatch.setitem(side_by_side._SAMPLE_SECONDS, "cpu", 0.0)


def case(
    method: str = "none", image_size: int = 16, n_dis: int = 1, **params: object
) -> TimedMethod:
    return TimedMethod(
        method,
        RunSpec(
            (MethodSpec(method, params),), replace(MIYATO2018["C"], n_dis=n_dis),
            ArchitectureSpec("standard_cnn", {"width": 0.0625}), "normal_0.02",
            LossSpec("non_saturating", {}), DatasetSpec("noise", "", (1, image_size, image_size)),
            Budget(100_000, 4, 4, "constant"), "float32", None, 0,
        ),
    )  # fmt: skip


def cases_of(plan: Plan, registry: Plugins, *numbers: int) -> list[TimedMethod]:
    return side_by_side.cases(plan.runs, registry, [16], [1], numbers)


def told(cases: list[TimedMethod]) -> list[tuple[str, int | None]]:
    return [(case.method, case.power_iterations) for case in cases]


def test_each_method_is_measured_at_each_size_and_n_dis_with_the_suites_values(
    write, plan_of, registry
):
    plan = plan_of(write(("[C]", "[A, F]"), ("batch_size: 8,", "batch_size: 12,")))
    found = side_by_side.cases(plan.runs, registry, [48, 32], [5, 1, 5], [1])
    assert [(c.method, *c.group) for c in found] == [
        ("none", 48, 5), ("SN", 48, 5), ("none", 48, 1), ("SN", 48, 1),
        ("none", 32, 5), ("SN", 32, 5), ("none", 32, 1), ("SN", 32, 1),
    ]  # fmt: skip
    for run in (c.run for c in found):
        assert (run.budget.batch_size, run.budget.generator_batch_size) == (12, 8)
        assert (run.architecture.params["width"], run.dataset.shape[0]) == (0.125, 1)
        assert run.setting.lr == 2e-4  # not F's: nothing should diverge while it is timed


def test_none_is_added_first_where_the_suite_has_it_not(write, plan_of, registry):
    plan = plan_of(write(("[none, spectral_norm]", "[wgan_gp]")))
    none, wgan_gp = cases_of(plan, registry)
    assert none.is_baseline
    assert (none.method, none.run.loss.name) == ("none", "non_saturating")
    assert not wgan_gp.is_baseline
    assert wgan_gp.run.loss.name == "wasserstein"


def test_a_label_that_says_none_is_not_the_baseline(write, plan_of, registry):
    plan = plan_of(write(("[none, spectral_norm]", "[{weight_norm: {}, label: none}]")))
    found = cases_of(plan, registry)
    assert [(c.method, c.is_baseline) for c in found] == [("none", True), ("none", False)]


def test_power_iterations_are_the_suites_and_those_asked_for(write, plan_of, registry):
    plan = plan_of(write(("[none, spectral_norm]", "[none, spectral_norm, lipschitz_projection]")))
    assert told(cases_of(plan, registry, 1, 5)) == [
        ("none", None),
        ("SN", 1),
        ("SN", 5),
        *((plan.runs[2].method, number) for number in (2, 1, 5)),  # 2 is its default
    ]


def test_power_iterations_that_the_suite_chose_stay(write, plan_of, registry):
    plan = plan_of(write(("spectral_norm]", "{spectral_norm: {power_iterations: 3}}]")))
    assert told(cases_of(plan, registry, 1, 5)) == [
        ("none", None),
        ("SN (power_iterations=3)", 3),
    ]


def test_an_image_size_that_the_architecture_does_not_take_is_a_mistake(write, plan_of, registry):
    plan = plan_of(write())
    with pytest.raises(UserError, match=r"--image-size: standard_cnn makes .*; .* of 20 pixels"):
        side_by_side.cases(plan.runs, registry, [20], [1], [1])


@pytest.mark.usefixtures("quick")
def test_rounds_follow_a_warm_up_and_begin_with_another_case_each(registry):
    cases = [case(), case("spectral_norm"), case("weight_norm"), case(n_dis=2)]
    samples = list(side_by_side.measure(cases, registry, CPU, rounds=2))
    assert [(s.round, cases.index(s.case)) for s in samples] == [
        (0, 0), (0, 1), (0, 2), (0, 3),
        (1, 1), (1, 2), (1, 0), (1, 3),
        (2, 2), (2, 0), (2, 1), (2, 3),
    ]  # fmt: skip
    assert all(sample.seconds > 0 for sample in samples)


def test_a_method_that_sleeps_costs_what_it_sleeps(registry, tmp_path):
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    registry = Plugins([tmp_path / "sleeper.py"])
    cases = [case("none", n_dis=n) for n in (1, 4)] + [case("sleeper", n_dis=n) for n in (1, 4)]
    rows = side_by_side.rows(list(side_by_side.measure(cases, registry, CPU, rounds=1)))
    seconds = {(row.method, row.n_dis): row.seconds_per_100_updates[0] for row in rows}
    for n_dis in (1, 4):
        slept = seconds["sleeper", n_dis] - seconds["none", n_dis]
        assert 100 * n_dis * SLEEP == pytest.approx(slept, rel=0.5)
    for row in rows:
        assert row.ratio == pytest.approx(
            seconds[row.method, row.n_dis] / seconds["none", row.n_dis]
        )


@pytest.mark.usefixtures("quick")
def test_a_case_that_changes_the_process_is_not_timed_beside_others(tmp_path):
    hasty = SLEEPER.replace(f"time.sleep({SLEEP})", "import torch; torch.set_num_threads(2)")
    (tmp_path / "hasty.py").write_text(hasty)
    registry = Plugins([tmp_path / "hasty.py"])
    samples = side_by_side.measure([case(), case("hasty")], registry, CPU, rounds=1)
    try:
        with pytest.raises(UserError, match=r"^hasty changes the process .*threads: 1, now 2\)"):
            list(samples)
    finally:
        torch.set_num_threads(1)


def test_a_sample_of_a_quick_case_is_many_updates_and_lasts(registry):
    warm, timed = side_by_side.measure([case()], registry, CPU, rounds=1)
    assert timed.updates > 3
    assert warm.updates == 1
    assert timed.seconds > 0.05  # 0.25 on a machine that is steady


@pytest.mark.parametrize(
    ("every", "n_dis", "seconds", "updates"),
    [(1, 1, 10.0, 1), (1, 1, 0.1, 3), (16, 1, 10.0, 16), (16, 4, 10.0, 4), (16, 1, 0.01, 32),
     (3, 5, 10.0, 3), (0.5, 1, 10.0, 1), (6, 4, 10.0, 3)],
)  # fmt: skip
def test_a_sample_holds_whole_periods_of_a_lazy_method(every, n_dis, seconds, updates):
    warm = Sample(case("r1", n_dis=n_dis, every=every), 0, 1, seconds, None, 0, None)
    assert side_by_side.sample_updates(warm, CPU) == updates


def test_the_estimate_is_of_all_rounds():
    warm = [Sample(case(), 0, 1, seconds, None, 0, None) for seconds in (10.0, 0.25, 2.0)]
    assert side_by_side.estimate(warm, CPU, rounds=3) == 3 * (10 + 0.25 + 2)


def test_rows_compare_with_none_of_the_same_round_size_and_n_dis():
    none, sn, other = case(), case("spectral_norm", power_iterations=5), case(n_dis=5)
    facts = {none: (0, None), sn: (3, 700), other: (0, None)}
    seconds = {none: [9, 1, 4, 2], sn: [9, 2, 2, 6], other: [9, 1, 1, 1]}
    samples = [
        Sample(c, round_, 2, seconds[c][round_], 3.0 * round_ if c is sn else None, *facts[c])
        for round_ in range(4)
        for c in (none, sn, other)
    ]
    rows = side_by_side.rows(samples)
    assert [row.methods for row in rows] == ["none", "spectral_norm", "none"]
    row = rows[1]
    assert row.seconds_per_100_updates == [100, 100, 300]  # of samples of two updates
    assert row.ratio_to_none == [2, 0.5, 3]
    assert row.ratio == 2
    assert (row.power_iterations, row.image_size, row.n_dis) == (5, 16, 1)
    assert (row.extra_parameters, row.peak_device_bytes) == (3, 700)
    assert row.energy_joules_per_100_updates == 100 * (3 + 6 + 9) / 6
    assert rows[2].ratio_to_none == [1, 1, 1]
    assert rows[2].energy_joules_per_100_updates is None


def test_energy_that_a_round_lacks_is_told_of_none():
    one = case()
    samples = [Sample(one, round_, 1, 1.0, joules, 0, None)
               for round_, joules in enumerate([None, 1.0, None])]  # fmt: skip
    assert side_by_side.rows(samples)[0].energy_joules_per_100_updates is None


class Memory(PeakDevice):
    """A GPU's memory: each case takes 50 bytes, and 7 more while it is updated."""

    def __init__(self) -> None:
        self.held = 1_000

    def allocated(self) -> int:
        return self.held

    def start(self) -> None:
        self.held += 50

    def read(self) -> float:
        return self.held + 7


class Joules(Energy):
    """A GPU's energy: each stretch takes 6 joules."""

    def __init__(self) -> None:
        self.started = 0

    def start(self) -> None:
        self.started += 1

    def read(self) -> float:
        return 6.0


@pytest.mark.usefixtures("quick")
def test_a_case_takes_the_memory_beyond_what_others_hold_and_the_energy_of_its_updates(registry):
    joules = Joules()
    cases = [case(), case("spectral_norm")]
    rows = side_by_side.rows(list(side_by_side.measure(cases, registry, CPU, 2, Memory(), joules)))
    assert [row.peak_device_bytes for row in rows] == [57, 57]
    assert [row.energy_joules_per_100_updates for row in rows] == [600, 600]
    assert joules.started == 2 * 2


def test_a_case_that_cannot_be_built_is_a_mistake_that_names_it(registry):
    grouped = case("group_norm", image_size=32, groups=3)  # of 4 channels
    with pytest.raises(UserError, match=r"^group_norm with images of 32 pixels: .*groups"):
        list(side_by_side.measure([grouped], registry, CPU, 1))


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """Return a function that runs a command in this process, which has torch imported already."""

    def here(*arguments: object) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["lipbench", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(sys.argv, ended.value.code or 0, out, err)

    return here


KEYS = {
    "device", "processor", "threads", "architecture", "width", "batch_size",
    "generator_batch_size", "precision", "rounds", "torch", "made", "rows",
}  # fmt: skip
ROW_KEYS = {
    "method", "methods", "power_iterations", "image_size", "n_dis", "seconds_per_100_updates",
    "ratio_to_none", "extra_parameters", "peak_device_bytes", "energy_joules_per_100_updates",
}  # fmt: skip


@pytest.mark.usefixtures("quick")
def test_the_command_prints_a_table_and_keeps_what_it_measured(here, write, tmp_path):
    write()
    done = here(
        "cost", "tiny.yaml", "--image-size", 16, "--image-size", 32, "--n-dis", 2, "--rounds", 2,
        "--power-iterations", 4, "--width", 0.0625, "--device", "cpu", "--only", "method=SN",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "6 cases are warm; 2 rounds take about" in done.stderr
    measured = SuiteFolder(tmp_path / "runs" / "tiny").cost()
    assert set(measured) == KEYS
    shared = ("device", "threads", "width", "batch_size", "generator_batch_size", "rounds")
    assert [measured[key] for key in shared] == ["cpu", 1, 0.0625, 8, 8, 2]
    assert all(set(row) == ROW_KEYS for row in measured["rows"])
    known = [(r["method"], r["power_iterations"], r["image_size"]) for r in measured["rows"]]
    assert known == [
        ("none", None, 16), ("SN", 1, 16), ("SN", 4, 16),
        ("none", None, 32), ("SN", 1, 32), ("SN", 4, 32),
    ]  # fmt: skip
    none = measured["rows"][3]["seconds_per_100_updates"]
    sn = measured["rows"][5]
    ratios = [a / b for a, b in zip(sn["seconds_per_100_updates"], none, strict=True)]
    assert sn["ratio_to_none"] == pytest.approx(ratios)
    cells = next(line for line in done.stdout.splitlines() if line.startswith("SN      4 "))
    assert f"{median(measured['rows'][2]['ratio_to_none']):.2f}" in cells.split()
    assert "width 0.0625, batches of 8 (D) and 8 (G), float32; medians of 2 rounds" in done.stdout
    assert done.stdout.splitlines()[-1] == "cost:    runs/tiny/cost.json"
    assert [path.name for path in (tmp_path / "runs" / "tiny").iterdir()] == ["cost.json"]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("asked", "threads"), [((), 1), (("--threads", 3), 3)])
def test_a_cpu_computes_with_one_thread_as_in_a_run_or_as_many_as_asked(
    here, write, tmp_path, asked, threads
):
    write(("[none, spectral_norm]", "[none]"))
    torch.set_num_threads(2)
    try:
        done = here("cost", "tiny.yaml", "--image-size", 16, "--device", "cpu", *asked)
        assert done.returncode == 0, done.stderr
        assert SuiteFolder(tmp_path / "runs" / "tiny").cost()["threads"] == threads
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--image-size", 64],
            "error: --image-size: standard_cnn makes square images of 16",
        ),
        (["--width", -1], "'standard_cnn': width: got -1"),
        (["--only", "method=x"], "error: --only: no method called 'x'; there are SN, none"),
        (["--device", "cuda:7"], "error: device cuda:7 is not here"),
        (["--set", "methods=[batch_norm + r1]"], "where an image's logit depends on its batch"),
        (["--set", "methods=[{spectral_norm: {power_iterations: 0}}]"], "greater than or equal"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(here, write, tmp_path, arguments, message):
    write()
    done = here("cost", "tiny.yaml", "--image-size", 16, *arguments)
    assert done.returncode == 2, done
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_ctrl_c_leaves_the_earlier_measurement_whole(write, tmp_path):
    write()
    folder = SuiteFolder(tmp_path / "runs" / "tiny")
    folder.save_cost({"rounds": 1, "rows": []})
    command = [
        sys.executable,
        "-m",
        "lipbench",
        "cost",
        "tiny.yaml",
        "--image-size",
        "16",
        "--n-dis",
        "1",
        "--rounds",
        "1000",
    ]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True, start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert "cases are warm" in process.stderr.readline()
    time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "")
    assert folder.cost() == {"rounds": 1, "rows": []}
    assert [path.name for path in folder.path.iterdir()] == ["cost.json"]


def test_a_suites_cost_is_absent_or_whole_or_told_to_be_damaged(tmp_path):
    folder = SuiteFolder(tmp_path / "runs" / "tiny")
    assert folder.cost() is None
    folder.save_cost({"rounds": 1, "rows": []})
    assert folder.cost() == {"rounds": 1, "rows": []}
    (folder.path / "cost.json").write_text('{"rows": [')
    with pytest.raises(UserError, match=r"cost\.json is damaged"):
        folder.cost()


def test_columns_that_no_case_has_are_not_shown(capsys):
    row = {
        "method": "SN", "methods": "spectral_norm", "power_iterations": 1, "image_size": 32,
        "n_dis": 5, "seconds_per_100_updates": [28.0, 30.0, 250.0],
        "ratio_to_none": [1.0, 1.25, 9.0], "extra_parameters": 1234,
        "peak_device_bytes": 3 * 2**20, "energy_joules_per_100_updates": 123.4,
    }  # fmt: skip
    shared = {"device": "cpu", "processor": "P", "threads": 2, "architecture": "standard_cnn",
              "width": 1.0, "batch_size": 64, "generator_batch_size": 64, "precision": "float32",
              "rounds": 3, "torch": "2"}  # fmt: skip
    cost.show_cost({**shared, "rows": [row]})
    heading, cells = capsys.readouterr().out.splitlines()[-2:]
    assert heading.endswith("extra parameters  MiB  J / 100 updates")
    assert " ".join(cells.split()) == "SN 1 32 5 30 1.25 1.00 to 9.00 1,234 3 123"
    absent = {"peak_device_bytes": None, "energy_joules_per_100_updates": None}
    cost.show_cost({**shared, "rows": [{**row, **absent}]})
    assert capsys.readouterr().out.splitlines()[-2].endswith("extra parameters")


def test_the_whole_of_cost_json_is_json(registry):
    rows = [side_by_side.CostRow("none", "none", None, 32, 5, [1.0], [1.0], 0, None, None)]
    measured = side_by_side.report(rows, case().run, CPU, rounds=1)
    assert json.loads(json.dumps(measured)) == measured
    assert set(measured["rows"][0]) == ROW_KEYS
