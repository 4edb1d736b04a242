"""One run that several processes train together, each with a share of every batch."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from lipbench.engines import local
from lipbench.errors import UserError
from lipbench.runs import parallel
from lipbench.runs.run import Workplace, run
from lipbench.runs.run_folder import RunFolder
from lipbench.training.shares import Share

from ..planning.test_points_in_suites import POINTS

SUITE = POINTS + "intervals: {score: 3, checkpoint: 3}\n"
TWO = ("cpu", "cpu")


def weights(folder):
    """Return the weights of G and D in a run's checkpoint, as one vector each."""
    state = RunFolder(folder).load_checkpoint()["training"]
    return [
        torch.cat([value.flatten().double() for value in state[network].values()])
        for network in ("generator", "discriminator")
    ]


@pytest.fixture
def tasks(write, plan_of, tasks_of):
    """Return a function that plans runs of points whose batches hold 8, and lists their tasks."""
    return lambda *replacements: tasks_of(plan_of(write(*replacements, text=SUITE)))


def trained(task, tmp_path, devices, stop=lambda: False):
    """Train a task in a folder of its own, by a process for each device."""
    task = replace(task, folder=tmp_path / f"{len(devices)} processes" / task.run.id)
    workplace = Workplace(torch.device("cpu"), devices=devices)
    status = run(task, workplace, lambda *_: True, stop)
    return status, task.folder


def test_a_share_is_a_part_of_the_batch_in_the_order_of_ranks():
    batch = torch.arange(8)
    assert [Share(rank, 4).of(batch).tolist() for rank in range(4)] == [
        [0, 1], [2, 3], [4, 5], [6, 7],
    ]  # fmt: skip
    assert Share().of(batch) is batch
    assert Share().index == ()
    assert Share(1, 2).index == (1,)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spectral_norm", "weight_clipping"])
def test_two_processes_train_as_one_does_at_the_same_batch(method, tasks, tmp_path):
    (task,) = tasks(("[none, spectral_norm]", f"[{method}]"))
    alone, one = trained(task, tmp_path, ("cpu",))
    together, two = trained(task, tmp_path, TWO)
    assert (alone.outcome, together.outcome, together.cause) == ("completed", "completed", None)
    for single, double in zip(weights(one), weights(two), strict=True):
        torch.testing.assert_close(double, single, rtol=0, atol=1e-5)
    rows = [RunFolder(folder).rows("metrics")[-1] for folder in (one, two)]
    for name in ("loss_d", "loss_g", "real_logit"):
        assert rows[0][name] == pytest.approx(rows[1][name], abs=1e-5)
    assert RunFolder(two).sessions()[-1]["processes"] == 2


@pytest.mark.slow
def test_a_stopped_run_of_two_processes_goes_on_to_the_same_weights(tasks, tmp_path):
    (task, *_) = tasks()
    _, whole = trained(task, tmp_path / "whole", TWO)
    asked = iter([False, True])
    status, folder = trained(task, tmp_path / "stopped", TWO, lambda: next(asked, True))
    assert (status.outcome, status.update) == ("interrupted", 2)
    status, folder = trained(task, tmp_path / "stopped", TWO)
    assert status.outcome == "completed"
    for first, second in zip(weights(whole), weights(folder), strict=True):
        assert torch.equal(first, second)


@pytest.mark.slow
def test_noise_of_a_method_is_each_processs_own(tasks, tmp_path):
    """Points between real and generated ones are drawn anew for each share."""
    (task,) = tasks(("[none, spectral_norm]", "[gan_gp]"))
    _, one = trained(task, tmp_path, ("cpu",))
    status, two = trained(task, tmp_path, TWO)
    assert status.outcome == "completed"
    different = (weights(one)[1] - weights(two)[1]).abs().max()
    assert 0 < different < 0.01


def test_a_follower_that_cannot_begin_fails_the_run(tasks, tmp_path, monkeypatch):
    (task, *_) = tasks()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    status, _ = trained(task, tmp_path, TWO)
    assert status.outcome == "failed"
    assert "process 1 of this run ended as it began (exit code 1)" in status.cause


@pytest.mark.slow
def test_followers_end_with_the_first_process(tmp_path):
    """Whatever happens to it: the pipe between them closes."""
    command = [sys.executable, "-m", "lipbench.runs.parallel"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdin.close()
        assert process.wait(60) != 0


def test_batches_that_cannot_be_shared_are_refused(write, plan_of):
    plan = plan_of(write(text=SUITE))
    parallel.check(plan, 4)
    with pytest.raises(UserError, match=r"batches of 8 \(D\) and 8 \(G\) cannot be shared by 3"):
        parallel.check(plan, 3)


def test_a_run_with_such_batches_fails_before_it_trains(tasks, tmp_path):
    """A study's runs are drawn one by one, so nothing could refuse them before."""
    (task, *_) = tasks()
    status, _ = trained(task, tmp_path, ("cpu", "cpu", "cpu"))
    assert (status.outcome, status.update) == ("failed", 0)
    assert "cannot be shared by 3 processes" in status.cause


def test_slots_of_several_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 5)
    assert local.slots(None, None, 1, 2) == ["cuda:0+cuda:1", "cuda:2+cuda:3"]
    assert local.slots(None, None, 2, 2) == ["cuda:0+cuda:1", "cuda:2+cuda:3"] * 2
    assert local.slots("cpu", 1, 1, 3) == ["cpu+cpu+cpu"]
    assert local.first("cuda:2+cuda:3") == "cuda:2"
    with pytest.raises(UserError, match="6 GPUs for each run were asked for; there are 5 GPUs"):
        local.slots(None, None, 1, 6)
