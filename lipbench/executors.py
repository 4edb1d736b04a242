"""Do many runs at once on this machine: persistent worker processes, one run at a time in each."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event as StopEvent
from typing import Any, Protocol

from lipbench.errors import UserError
from lipbench.run import Resources, Task, run
from lipbench.store import RESULTS, RunFolder, Status

PROGRESS_SECONDS = 0.5
_TICK_SECONDS = 0.25

# Set before a worker starts. One thread a worker: sums then have one order, so bits agree. glibc's
# malloc returns large blocks to the system after every use, and half of a CPU's time can go into
# mapping them again.
CPU_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_TOP_PAD_": str(2**28),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
}


@dataclass(frozen=True)
class Event:
    """Something that happened: started, progress, scored, remarked, finished, stopping, tick."""

    kind: str
    task: Task | None = None
    facts: dict[str, Any] = field(default_factory=dict)


class Source(Protocol):
    """What tells which task comes next, where that depends on how others ended."""

    def next(self) -> Task | None:
        """Return the next task, or None if there is none now."""

    def expects_more(self) -> bool:
        """Return whether there may be another task later, though there is none now."""

    def goes_on(self, task: Task, facts: Mapping[str, Any]) -> bool:
        """Return whether a task that `consults` shall go on after these scores."""


class _Listed:
    """Tasks that are known from the start."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._left = list(reversed(tasks))

    def next(self) -> Task | None:
        return self._left.pop() if self._left else None

    def expects_more(self) -> bool:
        return bool(self._left)

    def goes_on(self, task: Task, facts: Mapping[str, Any]) -> bool:
        return True


def slots(device: str | None, workers: int | None, runs_per_gpu: int) -> list[str]:
    """Return the device of each worker.

    Without a device: every GPU, `runs_per_gpu` workers each; without a GPU, one worker a core.
    Raises UserError for a device that is not here.
    """
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    device = device or ("cuda" if gpus else "cpu")
    kind, _, index = device.partition(":")
    if kind not in ("cpu", "cuda"):
        raise UserError(f"no device called {device!r}; there are cpu, cuda, cuda:0, cuda:1, ...")
    if kind == "cpu":
        return ["cpu"] * (workers or _cores())
    if not gpus or (index and not (index.isdigit() and int(index) < gpus)):
        raise UserError(f"device {device} is not here; torch sees {gpus} GPUs")
    chosen = [f"cuda:{index}"] if index else [f"cuda:{number}" for number in range(gpus)]
    every = chosen * runs_per_gpu  # one on each GPU before a second on any
    return every[: workers or len(every)]


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux: containers and batch systems allot some
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def execute(tasks: Sequence[Task], devices: Sequence[str]) -> Generator[Event]:
    """Do all tasks, telling what happens. Ctrl-C (or SIGTERM) lets each run checkpoint and stop.

    A second one ends the workers at once. Raises UserError where no run can go on (a full disk).
    """
    if tasks:
        yield from execute_from(_Listed(tasks), devices[: len(tasks)])


def execute_from(source: Source, devices: Sequence[str]) -> Generator[Event]:
    """Do what a source says until it has no more, telling what happens, as `execute` does.

    It is asked for a task only after whoever listens has heard how the ones before ended.
    """
    with _interrupts() as interrupts:
        first = source.next()
        if first is None and not source.expects_more():
            return
        pool = _Pool(devices)
        try:
            yield from _dispatch(first, source, pool, interrupts)
        finally:
            pool.close()


def _dispatch(
    waiting: Task | None, source: Source, pool: _Pool, interrupts: list[float]
) -> Iterator[Event]:
    stopping = False
    while True:
        if interrupts and not stopping:
            stopping = True
            pool.stop.set()
            yield Event("stopping", facts={"running": len(pool.busy())})
        if len(interrupts) > 1:
            return
        for worker in pool.idle():
            task = None if stopping else waiting or source.next()
            if task is None:
                break
            waiting = None
            worker.give(task)
            yield Event("started", task)
        if not pool.busy() and (stopping or not source.expects_more()):
            return
        for worker in pool.ready(_TICK_SECONDS):
            for event in pool.hear(worker):
                yield event
                if event.task and _is_question(event.task, event.kind, event.facts):
                    worker.answer(source.goes_on(event.task, event.facts))
        yield Event("tick")


def _is_question(task: Task, kind: str, facts: Mapping[str, Any]) -> bool:
    """Return whether a worker waits to hear if its run shall go on."""
    return task.consults and kind == "scored" and facts["checkpoint"] == "selection"


@contextlib.contextmanager
def _interrupts() -> Iterator[list[float]]:
    """Collect the times of SIGINT and SIGTERM in place of raising KeyboardInterrupt anywhere."""
    times: list[float] = []
    kinds = (signal.SIGINT, signal.SIGTERM)
    previous = [signal.signal(kind, lambda *_: times.append(time.time())) for kind in kinds]
    try:
        yield times
    finally:
        for kind, handler in zip(kinds, previous, strict=True):
            signal.signal(kind, handler)


class _Worker:
    """A worker process, seen from the parent."""

    def __init__(self, device: str, stop: StopEvent) -> None:
        context = multiprocessing.get_context("spawn")
        self.device = device
        self.task: Task | None = None
        self.connection, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(
            target=_work, args=(theirs, stop, device), daemon=True, name=f"lipbench {device}"
        )
        with _environment(CPU_ENVIRONMENT if device == "cpu" else {}), _blocked_signals():
            self.process.start()
        theirs.close()

    def give(self, task: Task) -> None:
        self.task = task
        # If the process has just died, its silence tells; the task is then its.
        with contextlib.suppress(BrokenPipeError):
            self.connection.send(task)

    def answer(self, goes_on: bool) -> None:
        """Tell a worker that asked whether its run shall go on."""
        with contextlib.suppress(BrokenPipeError):
            self.connection.send(goes_on)


class _Pool:
    """The workers, one for each device slot; a dead one is replaced."""

    def __init__(self, devices: Sequence[str]) -> None:
        self.stop: StopEvent = multiprocessing.get_context("spawn").Event()
        self.workers = [_Worker(device, self.stop) for device in devices]

    def busy(self) -> list[_Worker]:
        return [worker for worker in self.workers if worker.task]

    def idle(self) -> list[_Worker]:
        """Return the workers without a task; one that has ended meanwhile is replaced."""
        for index, worker in enumerate(self.workers):
            if not worker.task and not worker.process.is_alive():
                self.workers[index] = _Worker(worker.device, self.stop)
        return [worker for worker in self.workers if not worker.task]

    def ready(self, seconds: float) -> list[_Worker]:
        """Return the workers that have said something, or died, within some seconds."""
        ready = wait([worker.connection for worker in self.busy()], seconds)
        return [worker for worker in self.workers if worker.connection in ready]

    def hear(self, worker: _Worker) -> Iterator[Event]:
        """Yield what a worker says now."""
        task = worker.task
        assert task is not None, "only busy workers are heard"
        try:
            kind, facts = worker.connection.recv()
        except (EOFError, ConnectionResetError):
            yield Event("finished", task, self._bury(worker))
            return
        if kind == "refused":
            raise UserError(facts["message"])
        if kind == "finished":
            worker.task = None
        yield Event(kind, task, facts)

    def _bury(self, worker: _Worker) -> dict[str, Any]:
        """Replace a dead worker; its run failed, and keeps its checkpoint for a retry."""
        assert worker.task is not None
        worker.process.join()
        cause = f"the worker process died (exit code {worker.process.exitcode})"
        folder = RunFolder(worker.task.folder)
        status = replace(folder.status(), outcome="failed", cause=cause)
        folder.set_status(status)
        worker.task = None
        return {"outcome": status.outcome, "cause": cause, "update": status.update}

    def close(self) -> None:
        """End the workers. An idle one holds nothing; a busy one has its checkpoint."""
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            worker.process.join()
            worker.connection.close()


@contextlib.contextmanager
def _blocked_signals() -> Iterator[None]:
    """Let a process that is started here never see what ends a whole group: its parent tells it.

    What is blocked stays so in the new process from its first instruction, handlers do not. Here,
    a signal that comes meanwhile waits for the end of the block.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update({name: os.environ.get(name, value) for name, value in values.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)


def _work(connection: Connection[Any, Any], stop: StopEvent, device: str) -> None:
    """Do the tasks that come through a pipe until it closes; the life of a worker process."""
    import torch
    from tqdm import tqdm

    # torch-fidelity's bars, though never shown, would take a semaphore of the system's, which the
    # end of a worker leaves behind; one of its threads' does.
    tqdm.set_lock(threading.RLock())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if device == "cpu":
        torch.set_num_threads(1)
    else:
        torch.cuda.set_device(device)
    resources = Resources(torch.device(device))
    sent = 0.0

    def notify(kind: str, facts: dict[str, Any]) -> bool:
        nonlocal sent
        if kind != "progress" or time.monotonic() - sent > PROGRESS_SECONDS:
            sent = time.monotonic()
            connection.send((kind, facts))
        return not _is_question(task, kind, facts) or bool(connection.recv())

    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        try:
            status: Status = run(task, resources, notify, stop.is_set)
        except UserError as error:
            connection.send(("refused", {"message": str(error)}))
            continue
        facts = {"outcome": status.outcome, "cause": status.cause, "update": status.update}
        connection.send(("finished", {**facts, "cost": status.cost}))
        if device != "cpu" and status.outcome not in (*RESULTS, "interrupted"):
            return  # an error can leave a GPU's context unusable: the next run gets a new process


def _end_with_parent() -> None:
    """End this process when its parent does, whatever it is doing: nobody else would."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
