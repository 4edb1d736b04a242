"""Checkpoints: damage is seen, a kill at any step leaves a sound one, other runs' are refused."""

from __future__ import annotations

import dataclasses
import os
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from lipbench.errors import UserError
from lipbench.runs import checkpoints
from lipbench.runs.checkpoints import CURRENT, PREVIOUS

WEIGHTS = torch.arange(60_000, dtype=torch.float32)


@pytest.fixture
def run(write, plan_of):
    return plan_of(write()).runs[0].spec


def state(update: int) -> dict[str, Any]:
    return {"training": {"update": update, "weights": WEIGHTS + update}, "best": None, "cost": {}}


def is_of(found: dict[str, Any] | None, update: int) -> bool:
    return found is not None and torch.equal(found["training"]["weights"], WEIGHTS + update)


def unsealed(folder: Path, update: int) -> None:
    """Write a checkpoint as older versions did."""
    torch.save(state(update), folder / CURRENT)


def sealed(folder: Path, update: int, run) -> None:
    checkpoints.save(folder, state(update), run)


def damages(content: bytes) -> list[bytes]:
    """Return the content with a byte flipped, 64 KiB of zeros, or cut, at seeded places."""
    drawn = random.Random(0)
    size = len(content)
    offsets = [*drawn.sample(range(size), 300), *range(size - 200, size)]
    flipped = [content[:k] + bytes([content[k] ^ 0x10]) + content[k + 1 :] for k in offsets]
    zeroed = [
        content[:k] + bytes(min(65536, size - k)) + content[k + 65536 :]
        for k in drawn.sample(range(size), 20)
    ]
    cut = [content[:k] for k in (0, 2, 1000, *drawn.sample(range(size), 10), size - 1)]
    return [*flipped, *zeroed, *cut]


@pytest.mark.parametrize("kind", ["sealed", "unsealed"])
def test_a_damaged_checkpoint_never_loads_as_other_values(tmp_path, run, kind):
    sealed(tmp_path, 1, run) if kind == "sealed" else unsealed(tmp_path, 1)
    path = tmp_path / CURRENT
    content = path.read_bytes()
    assert is_of(checkpoints.load(tmp_path, run), 1)
    refused = []
    for damaged in damages(content):
        path.write_bytes(damaged)
        try:
            assert is_of(checkpoints.load(tmp_path, run), 1)  # padding, or the seal's own label
        except UserError as error:
            refused.append(str(error))
    assert len(refused) > (400 if kind == "sealed" else 200)
    for message in refused:
        assert message.startswith(f"{path} is damaged")
        assert "\n" not in message
        assert "weights_only" not in message


def test_a_sealed_checkpoint_is_what_torch_itself_loads(tmp_path, run):
    sealed(tmp_path, 3, run)
    assert is_of(torch.load(tmp_path / CURRENT, weights_only=True), 3)


@pytest.mark.parametrize("damage", ["flipped", "cut", "zeros", "folder", "text"])
def test_a_damaged_checkpoint_costs_one_interval(tmp_path, run, damage):
    for update in (1, 2):
        sealed(tmp_path, update, run)
    path = tmp_path / CURRENT
    content = path.read_bytes()
    middle = len(content) // 2
    if damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(
            {
                "flipped": content[:middle] + b"\xff" + content[middle + 1 :],
                "cut": content[:middle],
                "zeros": content[:middle] + bytes(len(content) - middle),
                "text": b"not a checkpoint",
            }[damage]
        )
    with pytest.raises(UserError, match=rf"{CURRENT} is .*goes on from {PREVIOUS}"):
        checkpoints.load(tmp_path, run)
    resumed = checkpoints.resume(tmp_path, run)
    assert is_of(resumed.state, 1)
    (remark,) = resumed.remarks
    assert remark.startswith(f"{CURRENT} is ")
    assert remark.endswith("the run goes on from update 1")
    sealed(tmp_path, 2, run)  # and the damaged one is never the previous
    assert is_of(checkpoints.load(tmp_path, run), 2)
    assert is_of(torch.load(tmp_path / PREVIOUS, weights_only=True), 1)


def test_where_both_are_damaged_the_run_begins_anew_and_says_so(tmp_path, run):
    for update in (1, 2):
        sealed(tmp_path, update, run)
    for name in (CURRENT, PREVIOUS):
        (tmp_path / name).write_bytes(b"PK")
    resumed = checkpoints.resume(tmp_path, run)
    assert resumed.state is None
    (remark,) = resumed.remarks
    assert remark == (
        f"{CURRENT} is damaged (cut short, or overwritten); "
        f"{PREVIOUS} is damaged (cut short, or overwritten); the run begins anew"
    )
    assert checkpoints.resume(tmp_path, run) == checkpoints.Resumed(None)


def test_a_run_without_a_checkpoint_has_nothing_to_remark(tmp_path, run):
    assert checkpoints.load(tmp_path, run) is None
    assert checkpoints.resume(tmp_path, run) == checkpoints.Resumed(None)


class Kill(BaseException):
    """Ends a write as SIGKILL does: nothing is cleaned up."""


@pytest.mark.parametrize("step", ["fsync", "replace", "replace again", "end"])
def test_a_kill_at_any_step_leaves_a_sound_checkpoint(tmp_path, run, monkeypatch, step):
    for update in (1, 2):
        sealed(tmp_path, update, run)
    left = {"fsync": 0, "replace": 0, "replace again": 1, "end": 2}[step]
    kept = os.replace

    def replace(*names: Any) -> None:
        nonlocal left
        if left == 0:
            raise Kill
        left -= 1
        kept(*names)

    def fsync(_: int) -> None:
        raise Kill

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", replace)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        if step == "fsync":
            patch.setattr("os.fsync", fsync)
        if step == "end":
            sealed(tmp_path, 3, run)
        else:
            with pytest.raises(Kill):
                sealed(tmp_path, 3, run)
    reached = 3 if step == "end" else 2
    assert is_of(checkpoints.load(tmp_path, run), reached)
    assert checkpoints.exists(tmp_path)
    resumed = checkpoints.resume(tmp_path, run)
    assert is_of(resumed.state, reached)
    assert resumed.remarks == ()
    assert (tmp_path / CURRENT).exists()


def test_a_full_disk_leaves_both_checkpoints_as_they_were(tmp_path, run, monkeypatch):
    for update in (1, 2):
        sealed(tmp_path, update, run)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.pt")}

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        sealed(tmp_path, 3, run)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.pt")} == before
    assert not list(tmp_path.glob(".*.tmp"))


def test_another_runs_checkpoint_is_refused_and_not_deleted(tmp_path, run):
    other = dataclasses.replace(run, seed=run.seed + 1)
    sealed(tmp_path, 1, run)
    sealed(tmp_path, 9, other)
    with pytest.raises(UserError, match=rf"{CURRENT} is another run's; .*goes on from {PREVIOUS}"):
        checkpoints.load(tmp_path, run)
    resumed = checkpoints.resume(tmp_path, run)
    assert is_of(resumed.state, 1)
    assert resumed.remarks == (f"{CURRENT} is another run's; the run goes on from update 1",)
    (aside,) = tmp_path.glob(f"{CURRENT}.*")
    assert is_of(torch.load(aside, weights_only=True), 9)


def test_a_checkpoint_from_before_its_method_gained_a_field_is_its_runs(tmp_path, run):
    gained = {"name": run.methods[0].name, "params": {**run.methods[0].params, "new": 1.0}}
    method = dataclasses.replace(run.methods[0], params=gained["params"])
    sealed(tmp_path, 1, run)
    now = dataclasses.replace(run, methods=(method,))
    assert is_of(checkpoints.load(tmp_path, now), 1)
    sealed(tmp_path, 1, now)
    with pytest.raises(UserError, match="another run's"):
        checkpoints.load(tmp_path, run)


def test_what_is_no_tensor_is_refused_in_our_own_words(tmp_path, run):
    torch.save({"training": {"update": Path("x")}, "cost": {}}, tmp_path / CURRENT)
    with pytest.raises(UserError, match="holds something other than tensors") as refused:
        checkpoints.load(tmp_path, run)
    assert "weights_only" not in str(refused.value)


def test_the_previous_checkpoint_goes_once_the_last_one_is_read_back(tmp_path, run):
    checkpoints.settle(tmp_path)  # of a run that diverged before its first checkpoint
    for update in (1, 2):
        sealed(tmp_path, update, run)
    sound = (tmp_path / CURRENT).read_bytes()
    (tmp_path / CURRENT).write_bytes(sound.replace(b"update", b"updaxe", 1))
    with pytest.raises(UserError, match=r"the disk, or the memory, is at fault"):
        checkpoints.settle(tmp_path)
    assert (tmp_path / PREVIOUS).exists()
    (tmp_path / CURRENT).write_bytes(sound)
    checkpoints.settle(tmp_path)
    assert not (tmp_path / PREVIOUS).exists()
    assert is_of(checkpoints.load(tmp_path, run), 2)


def test_a_zip_file_of_something_else_is_moved_aside(tmp_path, run):
    with zipfile.ZipFile(tmp_path / CURRENT, "w") as archive:
        archive.writestr("notes.txt", "not weights")
    with pytest.raises(UserError, match=rf"{CURRENT} is damaged, or no file of torch's"):
        checkpoints.load(tmp_path, run)
    assert checkpoints.resume(tmp_path, run).state is None
    assert len(list(tmp_path.glob(f"{CURRENT}.*"))) == 1


@pytest.mark.parametrize(
    "error", [MemoryError("no more"), RuntimeError("DefaultCPUAllocator: not enough memory")]
)
def test_a_checkpoint_that_memory_does_not_hold_is_not_called_damaged(
    tmp_path, run, monkeypatch, error
):
    sealed(tmp_path, 1, run)

    def full(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("torch.load", full)
        with pytest.raises(type(error)):
            checkpoints.resume(tmp_path, run)
    assert is_of(checkpoints.load(tmp_path, run), 1)


def test_a_checkpoint_that_may_not_be_read_is_not_called_damaged(tmp_path, run, monkeypatch):
    sealed(tmp_path, 1, run)

    def read(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", read)
        with pytest.raises(PermissionError):
            checkpoints.resume(tmp_path, run)
    assert is_of(checkpoints.load(tmp_path, run), 1)
