"""Train one run by several processes of this machine, each with a device of its own.

The first one is the run's own: it decides when to stop, scores, and keeps the folder. The others
follow: they take its state when training begins, do every update with it, and end with it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from lipbench import dataset, streams
from lipbench.data import DatasetInfo
from lipbench.errors import UserError
from lipbench.planning import parts
from lipbench.planning.plan import Plan
from lipbench.planning.spec import RunSpec
from lipbench.plugins import Plugins
from lipbench.training import arithmetic, loop
from lipbench.training.loop import TrainState
from lipbench.training.shares import ALONE, Share

_HOST = "127.0.0.1"
_PATIENCE = timedelta(days=7)  # with the first process, which scores and audits between updates
_TICK = 0.05  # seconds


@dataclass(frozen=True)
class Follower:
    """What a process that follows needs to know; everything in it can cross to another process."""

    spec: RunSpec
    dataset: DatasetInfo
    dataset_params: dict[str, object]
    plugins: tuple[Path, ...]
    cache: Path
    state: Path = Path()  # of training, as the first process has it
    device: str = "cpu"
    port: int = 0
    share: Share = ALONE


def check(plan: Plan, processes: int) -> None:
    """Raise UserError for batches that do not fall into as many equal shares."""
    for run in plan.unique:
        _require_shares(run.spec, processes)


def _require_shares(spec: RunSpec, processes: int) -> None:
    sizes = spec.budget.batch_size, spec.budget.generator_batch_size
    if any(size % processes for size in sizes):
        raise UserError(
            f"batches of {sizes[0]} (D) and {sizes[1]} (G) cannot be shared by {processes} "
            "processes; give sizes that they divide"
        )


@contextlib.contextmanager
def following(first: Follower, devices: Sequence[str], state: TrainState) -> Iterator[None]:
    """Let a process for each device but the first follow this one's training within.

    `first` says what to train. Raises UserError where one of them cannot begin, and for batches
    that do not fall into equal shares.
    """
    if len(devices) == 1:
        yield
        return
    size = len(devices)
    _require_shares(first.spec, size)  # a study's runs are not known when it begins
    store = TCPStore(_HOST, 0, size, is_master=True, wait_for_workers=False, timeout=_PATIENCE)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        path = Path(folder) / "state.pt"
        torch.save(state.state_dict(), path)
        given = replace(first, state=path, port=store.port)
        processes = [
            stack.enter_context(_started(replace(given, device=device, share=Share(rank, size))))
            for rank, device in enumerate(devices[1:], start=1)
        ]
        _wait_for(store, processes)
        _join(store, devices[0], Share(0, size))
        state.share = Share(0, size)
        try:
            yield
        finally:
            state.share = ALONE
            for process in processes:  # they may wait for an update that does not come
                process.kill()
            distributed.destroy_process_group()


@contextlib.contextmanager
def _started(follower: Follower) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that follows; it is ended with this context, or with this process."""
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # its end is told where it is waited for
                pickle.dump(follower, process.stdin)
                process.stdin.flush()
            yield process
        finally:
            process.kill()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()


def _wait_for(store: TCPStore, processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for rank, process in enumerate(processes, start=1):
        while not store.check([f"ready {rank}"]):
            if process.poll() is not None:
                code = process.returncode
                raise UserError(f"process {rank} of this run ended as it began (exit code {code})")
            time.sleep(_TICK)


def _join(store: TCPStore, device: str, share: Share) -> None:
    backend = "nccl" if device.startswith("cuda") else "gloo"
    distributed.init_process_group(
        backend, store=store, rank=share.rank, world_size=share.size, timeout=_PATIENCE
    )


def _end_with_first() -> None:
    """End this process when the first one's end of the pipe is closed, whatever it is doing."""
    sys.stdin.buffer.read()
    os._exit(1)


def follow(follower: Follower) -> None:
    """Do each update of a training with the process that began it, to the end of its budget."""
    device, spec = torch.device(follower.device), follower.spec
    arithmetic.exact_float32()
    if device.type == "cpu":
        torch.set_num_threads(1)
    else:
        torch.cuda.set_device(device)
    streams.seed_globals(spec.seed)
    plugins = Plugins(follower.plugins)
    source = parts.dataset(follower.dataset.name, follower.dataset_params, plugins)
    data = dataset.load(source, follower.dataset, follower.cache, device).train
    state = loop.build(spec, parts.of(spec, plugins), data)
    state.load_state_dict(torch.load(follower.state, map_location=device, weights_only=True))
    store = TCPStore(_HOST, follower.port, follower.share.size, timeout=_PATIENCE)
    store.set(f"ready {follower.share.rank}", "")
    _join(store, follower.device, follower.share)
    state.share = follower.share
    for _ in loop.train(spec, data, state):
        pass


if __name__ == "__main__":
    asked = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_first, daemon=True).start()
    follow(asked)
