"""What a run takes: laps and sessions by hand, gauges against stand-ins of the same shape."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from lipbench.cost import parameters, timing, usage
from lipbench.cost.timing import Clock
from lipbench.cost.usage import Energy, Gauge, PeakDevice, PeakResident
from lipbench.data import Split
from lipbench.planning import parts
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
from lipbench.results import frame
from lipbench.runs.run_folder import RunFolder
from lipbench.training import loop

CPU = torch.device("cpu")


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that lets so many seconds pass, on a clock that nothing else moves."""
    now = [100.0]

    def wait(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    return wait


class Steps(Gauge):
    """A gauge that reads what it was given, one number a stretch, and sums them."""

    name = "steps"

    def __init__(self, *readings: float | None) -> None:
        self.readings = list(readings)
        self.done: list[str] = []

    def settle(self) -> None:
        self.done.append("settle")

    def start(self) -> None:
        self.done.append("start")

    def read(self) -> float | None:
        self.done.append("read")
        return self.readings.pop(0)

    def join(self, earlier: float, later: float) -> float:
        return earlier + later


def test_only_laps_are_training_and_only_those_after_ten_updates_make_the_pace(wait):
    run = Clock({}, CPU, images_per_update=100, with_gauges=[])
    wait(5)
    run.lap(10)
    assert run.is_warm
    assert "seconds_per_update" not in run.cost()
    assert "images_per_second" not in run.cost()
    wait(70)  # a checkpoint, say
    run.restart()
    with run.scoring():
        wait(11)
    with run.auditing():
        wait(4)
    run.restart()
    wait(3)
    run.lap(6)
    assert run.cost() == {
        "seconds_training": 8,
        "seconds_scoring": 11,
        "seconds_auditing": 4,
        "timed_updates": 6,
        "timed_seconds": 3,
        "seconds_per_update": 0.5,
        "images_per_second": 200,
    }


def test_short_laps_warm_up_together(wait):
    run = Clock({}, CPU, 1, with_gauges=[])
    for _ in range(3):
        wait(9)
        run.lap(4)
    assert run.is_warm
    assert run.cost()["timed_updates"] == 0
    wait(2)
    run.lap(4)
    assert run.cost()["seconds_per_update"] == 0.5


def test_a_resumed_run_goes_on_with_its_sums_and_warms_up_again(wait):
    first = Clock({}, CPU, 12, with_gauges=[Steps(7.0, 1.0)])
    for updates in (10, 2):
        wait(4)
        first.lap(updates)
    second = Clock(first.cost(), CPU, 12, with_gauges=[Steps(30.0, 4.0)])
    for updates, seconds in ((10, 50), (2, 8)):
        wait(seconds)
        second.lap(updates)
    cost = second.cost()
    assert cost["seconds_training"] == 4 + 4 + 50 + 8
    assert cost["seconds_per_update"] == (4 + 8) / (2 + 2)
    assert cost["images_per_second"] == 12 / 3
    assert cost["steps"] == 7 + 1 + 30 + 4


def test_a_gauge_is_read_at_laps_only_and_settles_when_other_work_was_done(wait):
    steps = Steps(1.0, 2.0)
    run = Clock({}, CPU, 1, with_gauges=[steps])
    run.lap(1)
    with run.scoring():
        assert run.cost()["steps"] == 1
    run.restart()
    run.lap(1)
    assert steps.done == ["settle", "start", "read", "start", "settle", "start", "read", "start"]
    assert run.cost()["steps"] == 3


def test_a_gauge_that_is_silent_once_is_left_out_from_then_on(wait):
    run = Clock({}, CPU, 1, with_gauges=[Steps(1.0, None, 5.0)])
    for _ in range(3):
        run.lap(1)
    assert "steps" not in run.cost()


@pytest.mark.parametrize("earlier", [{"seconds_training": 2.0}, {"seconds_training": 2.0, "x": 1}])
def test_a_gauge_that_missed_a_session_does_not_tell_a_part_as_the_whole(wait, earlier):
    run = Clock(earlier, CPU, 1, with_gauges=[Steps(5.0)])
    run.lap(1)
    assert "steps" not in run.cost()


def test_what_another_machine_measured_is_dropped_where_this_one_cannot(wait):
    run = Clock({"seconds_training": 2.0, "steps": 7.0}, CPU, 1, with_gauges=[])
    run.lap(1)
    assert "steps" not in run.cost()


def test_peak_resident_memory_is_the_kernels_mark_since_a_reset(tmp_path: Path):
    (tmp_path / "status").write_text("VmPeak:\t  99 kB\nVmHWM:\t  1200 kB\nVmRSS:\t  800 kB\n")
    gauge = PeakResident(tmp_path)
    assert gauge.read() is None  # not reset yet
    gauge.start()
    assert (tmp_path / "clear_refs").read_text() == "5"
    assert gauge.read() == 1200 * 1024
    assert gauge.join(3.0, 2.0) == 3.0


def test_peak_resident_memory_is_absent_where_it_cannot_be_reset(tmp_path: Path):
    gauge = PeakResident(tmp_path / "nowhere")
    gauge.start()
    assert gauge.read() is None


def test_peak_resident_memory_forgets_what_was_freed_before():
    gauge = PeakResident()
    gauge.settle()  # else the blocks would fit into what other tests left
    gauge.start()
    before = gauge.read()
    if before is None:
        pytest.skip("this system does not let a process reset its high-water mark")
    blocks, size = 2_000, 2**16  # small ones stay in the heap when they are freed
    taken = [torch.ones(size, dtype=torch.uint8) for _ in range(blocks)]
    taken = taken[-1:]
    assert gauge.read() - before > 0.7 * blocks * size
    gauge.start()
    assert gauge.read() - before > 0.7 * blocks * size
    gauge.settle()
    gauge.start()
    assert gauge.read() - before < 0.3 * blocks * size


class Cuda:
    """The part of torch.cuda that gauges ask, for a GPU that holds 1,000 bytes."""

    def __init__(self) -> None:
        self.peak, self.now = 9_000, 1_000

    def reset_peak_memory_stats(self, device: torch.device) -> None:
        self.peak = self.now

    def max_memory_allocated(self, device: torch.device) -> int:
        return self.peak

    def memory_allocated(self, device: torch.device) -> int:
        return self.now

    def get_device_properties(self, device: torch.device) -> SimpleNamespace:
        return SimpleNamespace(uuid=f"uuid-of-{device.index}")


def test_a_gpus_peak_memory_is_that_since_the_start():
    cuda = Cuda()
    gauge = PeakDevice(torch.device("cuda:1"), cuda)
    gauge.start()
    assert gauge.read() == 1_000
    cuda.peak = 5_000
    assert gauge.read() == 5_000
    assert gauge.allocated() == 1_000
    assert gauge.join(5_000, 4_000) == 5_000


class Nvml:
    """The part of pynvml that gauges ask: one GPU, and a counter in millijoules."""

    class NVMLError(Exception):
        pass

    def __init__(self, silent: str = "") -> None:
        self.millijoules, self.silent = 500_000, silent

    def _answer(self, function: str) -> None:
        if function == self.silent:
            raise self.NVMLError(function)

    def nvmlInit(self) -> None:  # noqa: N802
        self._answer("init")

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        self._answer("handle")
        assert uuid == "GPU-uuid-of-1"
        return "handle"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:  # noqa: N802
        self._answer("energy")
        assert handle == "handle"
        return self.millijoules


def test_energy_is_the_counters_difference_in_joules():
    nvml = Nvml()
    gauge = Energy(torch.device("cuda:1"), Cuda(), nvml)
    assert gauge.read() is None  # not started yet
    gauge.start()
    nvml.millijoules += 2_500
    assert gauge.read() == 2.5
    gauge.start()
    assert gauge.read() == 0.0
    assert gauge.join(2.5, 1.0) == 3.5


@pytest.mark.parametrize("silent", ["init", "handle", "energy"])
def test_energy_is_absent_and_not_zero_where_nvml_does_not_give_it(silent):
    gauge = Energy(torch.device("cuda:1"), Cuda(), Nvml(silent))
    gauge.start()
    assert gauge.read() is None


def test_energy_is_absent_without_the_optional_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    gauge = Energy(torch.device("cuda:1"), Cuda())
    gauge.start()
    assert gauge.read() is None


def test_energy_asks_the_optional_package_where_it_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", nvml := Nvml())
    gauge = Energy(torch.device("cuda:1"), Cuda())
    gauge.start()
    nvml.millijoules += 1_000
    assert gauge.read() == 1.0


def test_a_cpu_has_neither_a_gpus_memory_nor_its_energy():
    assert [gauge.name for gauge in usage.of(CPU)] == ["peak_resident_bytes"]


def test_rotated_items_begin_with_another_each_time():
    assert [timing.rotated("abc", by) for by in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]
    assert timing.rotated([], 2) == []


def test_interleaved_steps_are_called_in_rotating_order_and_the_first_round_is_not_told(wait):
    called = ""

    def step(name: str, seconds: list[float]) -> Callable[[], None]:
        def call() -> None:
            nonlocal called
            called += name
            wait(seconds.pop(0))

        return call

    steps = [step("a", [90, 1, 2]), step("b", [80, 3, 5])]
    assert timing.interleaved(steps, CPU, rounds=2) == [[1, 2], [3, 5]]
    assert called == "ab" + "ba" + "ab"


def test_the_seconds_of_repeated_calls_are_those_of_all_together(wait):
    assert timing.seconds(lambda: wait(2), CPU, repeats=3) == 6


def run_of(*methods: MethodSpec) -> RunSpec:
    """Return a run of the standard CNN at an eighth of its width: 8, 8, 16, 16, 32, 32 and 64."""
    return RunSpec(
        methods, MIYATO2018["C"], ArchitectureSpec("standard_cnn", {"width": 0.125}),
        "normal_0.02", LossSpec("non_saturating", {}), DatasetSpec("noise", "", (3, 16, 16)),
        Budget(100, 4, 4, "constant"), "float32", None, 0,
    )  # fmt: skip


OUTPUTS = [8, 8, 16, 16, 32, 32, 64]


@pytest.mark.parametrize(
    ("name", "params", "extra"),
    [
        ("none", {}, 0),
        ("spectral_norm", {}, 0),
        ("weight_norm", {}, 0),
        ("weight_norm", {"gamma": True}, sum(OUTPUTS) + 1),  # one an output, the head has 1
        ("spectral_norm", {"gamma": True}, len(OUTPUTS) + 1),  # one a layer
        ("batch_norm", {}, sum(OUTPUTS[1:])),  # a shift a channel, but in the first layer
        ("batch_norm", {"gamma": True}, 2 * sum(OUTPUTS[1:])),
    ],
)
def test_extra_parameters_are_those_that_a_method_adds(name, params, extra):
    run = run_of(MethodSpec(name, params))
    data = Split(torch.zeros(8, 16, 16, 3, dtype=torch.uint8), torch.zeros(8, dtype=torch.long))
    state = loop.build(run, parts.of(run, Plugins()), data)
    assert parameters.extra(run, state) == extra


def test_trainable_parameters_leave_frozen_ones_out():
    layer = torch.nn.Linear(3, 2)
    layer.bias.requires_grad_(False)
    assert parameters.trainable(layer, torch.nn.Linear(1, 1)) == 6 + 2


def test_a_runs_cost_is_in_its_status_and_in_the_table_and_survives_resuming(
    write, plan_of, tasks_of, do, tmp_path
):
    plan = plan_of(
        write(
            ("[none, spectral_norm]", "[{weight_norm: {gamma: true}}]"),
            ("updates: 6", "updates: 18"),
            ("score: 4", "score: 14"),
        )
    )
    (task,) = tasks_of(plan)
    stopped = do(task, stop_after=15).cost
    assert stopped["timed_updates"] == 5  # 10 warm up
    cost = do(task).cost
    assert cost == RunFolder(task.folder).status().cost
    assert cost["timed_updates"] == 5  # the second session has 3 updates only
    assert cost["seconds_training"] > stopped["seconds_training"]
    assert cost["seconds_scoring"] > stopped["seconds_scoring"] > 0
    assert cost["extra_parameters"] == sum(OUTPUTS) + 1
    images = 2 * 8 + 8  # of an update at n_dis 1: D's real and generated ones, and G's
    assert cost["images_per_second"] == pytest.approx(images / cost["seconds_per_update"])
    assert cost.get("peak_resident_bytes", 2**28) > 2**27  # an interpreter with torch in it
    assert not {"peak_device_bytes", "energy_joules"} & set(cost)

    (row,) = frame.load_runs(tmp_path / "runs" / "tiny").to_dict("records")
    assert row["seconds"] == cost["seconds_training"] + cost["seconds_scoring"]
    for name in ("seconds_per_update", "images_per_second", "extra_parameters"):
        assert row[name] == cost[name]
    assert row["energy_joules"] != row["energy_joules"]  # NaN: absent, not 0
    assert row["peak_device_bytes"] != row["peak_device_bytes"]
