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

from lipbench import machine, process_state, signals
from lipbench.errors import UserError
from lipbench.outcome import Outcome
from lipbench.runs.run import Task, Workplace, run
from lipbench.runs.run_folder import RunFolder, Status
from lipbench.training import arithmetic
from lipbench.words import are, counted

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
    """Something that happened: started, preparing, began, progress, scored, remarked, finished,
    stopping, tick.

    A run that is preparing has facts `what`, `done` and `total`; one that began to train, the
    update that it had reached before.
    """

    kind: str
    task: Task | None = None
    facts: dict[str, Any] = field(default_factory=dict)


class TaskSource(Protocol):
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


def slots(
    device: str | None, workers: int | None, runs_per_gpu: int, gpus_per_run: int = 1
) -> list[str]:
    """Return the device of each worker; of several for each run, joined by "+".

    Without a device: every GPU, `runs_per_gpu` workers each; without a GPU, one worker a core.
    Where `gpus_per_run` processes train each run together, they have a GPU, or a core, each.
    Raises UserError for a device that is not here, and for too few GPUs.
    """
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    device = device or ("cuda" if gpus else "cpu")
    kind, _, index = device.partition(":")
    if kind not in ("cpu", "cuda"):
        raise UserError(f"no device called {device!r}; there are cpu, cuda, cuda:0, cuda:1, ...")
    if kind == "cpu":
        together = "+".join(["cpu"] * gpus_per_run)
        return [together] * (workers or max(1, machine.cores() // gpus_per_run))
    if not gpus or (index and not (index.isdigit() and int(index) < gpus)):
        raise UserError(f"device {device} is not here; torch sees {counted(gpus, 'GPU')}")
    chosen = [f"cuda:{index}"] if index else [f"cuda:{number}" for number in range(gpus)]
    if len(chosen) < gpus_per_run:
        here = f"there {are(len(chosen))} {counted(len(chosen), 'GPU')}"
        raise UserError(f"{gpus_per_run} GPUs for each run were asked for; {here}")
    whole = len(chosen) - len(chosen) % gpus_per_run
    groups = ["+".join(chosen[at : at + gpus_per_run]) for at in range(0, whole, gpus_per_run)]
    every = groups * runs_per_gpu  # one on each GPU before a second on any
    return every[: workers or len(every)]


def first(slot: str) -> str:
    """Return the device of a slot that scores, of several the first."""
    return slot.partition("+")[0]


def execute(tasks: Sequence[Task], devices: Sequence[str]) -> Generator[Event]:
    """Do all tasks, telling what happens. A signal of `signals` lets each run checkpoint and stop.

    A second Ctrl-C (or SIGTERM) ends the workers at once. Raises UserError where no run can go on
    (a full disk).
    """
    if tasks:
        yield from execute_from(_Listed(tasks), devices[: len(tasks)])


def execute_from(source: TaskSource, devices: Sequence[str]) -> Generator[Event]:
    """Do what a source says until it has no more, telling what happens, as `execute` does.

    It is asked for a task only after whoever listens has heard how the ones before ended.
    """
    with signals.collected() as came:
        first = source.next()
        if first is None and not source.expects_more():
            return
        pool = _Pool(devices)
        try:
            yield from _dispatch(first, source, pool, came)
        finally:
            pool.close()


def _dispatch(
    waiting: Task | None, source: TaskSource, pool: _Pool, came: list[signal.Signals]
) -> Iterator[Event]:
    stopping = False
    while True:
        if came and not stopping:
            stopping = True
            pool.stop.set()
            yield Event("stopping", facts={"running": len(pool.busy())})
        if sum(kind in signals.INSISTENT for kind in came) > 1:
            return
        for worker in pool.idle():
            task = None if stopping else waiting or source.next()
            if task is None:
                break
            waiting = None
            pool.give(worker, task)
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


class _Worker:
    """A worker process, seen from the parent."""

    def __init__(self, device: str, stop: StopEvent) -> None:
        context = multiprocessing.get_context("spawn")
        self.device = device
        self.task: Task | None = None
        self.leaves = False  # whether it takes no other task
        self.connection, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(
            target=_work, args=(theirs, stop, device), daemon=True, name=f"lipbench {device}"
        )
        environment = _environment(CPU_ENVIRONMENT if first(device) == "cpu" else {})
        with environment, signals.blocked(), _spawning():
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

    def end(self) -> None:
        """End the process, if it has not ended."""
        self.process.kill()
        self.process.join()
        self.connection.close()


class _Pool:
    """The workers, one for each device slot; one that is dead or leaves is replaced."""

    def __init__(self, devices: Sequence[str]) -> None:
        with signals.blocked(), _spawning():  # it can start a process of multiprocessing's
            self.stop: StopEvent = multiprocessing.get_context("spawn").Event()
        self.oom_kills = machine.oom_kills()
        self.workers = [_Worker(device, self.stop) for device in devices]

    def busy(self) -> list[_Worker]:
        return [worker for worker in self.workers if worker.task]

    def idle(self) -> list[_Worker]:
        return [worker for worker in self.workers if not worker.task]

    def give(self, worker: _Worker, task: Task) -> None:
        """Give a task to an idle worker, or to a new one in its place."""
        if worker.leaves or not worker.process.is_alive():
            worker.end()
            self.workers[self.workers.index(worker)] = worker = _Worker(worker.device, self.stop)
        worker.give(task)

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
            worker.leaves = facts.pop("leaves")
        yield Event(kind, task, facts)

    def _bury(self, worker: _Worker) -> dict[str, Any]:
        """Say how a dead worker's run ended; it keeps its checkpoint for a retry."""
        assert worker.task is not None
        worker.process.join()
        before, self.oom_kills = self.oom_kills, machine.oom_kills()
        outcome, cause = _ended(worker.process.exitcode or 0, before, self.oom_kills)
        folder = RunFolder(worker.task.folder)
        stored = folder.status()
        status = replace(stored, outcome=outcome, cause=cause)
        if stored.outcome != "completed":  # else it was being scored by one more protocol
            folder.set_status(status)
        worker.task = None
        return {"outcome": outcome, "cause": cause, "update": status.update}

    def close(self) -> None:
        """End the workers. An idle one holds nothing; a busy one has its checkpoint."""
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            worker.end()


def _ended(code: int, oom_before: int | None, oom_now: int | None) -> tuple[Outcome, str]:
    """Return the outcome and the cause of a run whose worker process has ended by itself.

    `code` is the process's exit code, negative for a signal; the other two are how many processes
    the kernel had killed for memory before, and now, where that is known.
    """
    if code >= 0:
        return Outcome.FAILED, f"the worker process ended itself (exit code {code})"
    kind = signal.Signals(-code)
    killed = f"the worker process was killed by {kind.name}"
    if kind is not signal.SIGKILL:
        return Outcome.FAILED, f"{killed} ({signal.strsignal(kind)})"
    if oom_before is None or oom_now is None:
        return Outcome.FAILED, f"{killed}; whether memory had run out is not recorded here"
    if oom_now > oom_before:
        return Outcome.OUT_OF_MEMORY, f"{killed}: the kernel ended it when memory had run out"
    return Outcome.FAILED, f"{killed}, and not because memory had run out"


@contextlib.contextmanager
def _spawning() -> Iterator[None]:
    """Make the death of a process as it starts a crash of this one.

    The command line would take a broken pipe for the end of its reader, and end without a word.
    """
    try:
        yield
    except BrokenPipeError as error:
        raise ChildProcessError("a worker process ended before it had begun") from error


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
    tqdm.monitor_interval = 0  # no thread that watches bars
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _pass_on(signal.SIGXCPU)
    arithmetic.exact_float32()
    if first(device) == "cpu":
        torch.set_num_threads(1)
    else:
        torch.cuda.set_device(first(device))

    def report(what: str, done: int, total: int) -> None:
        notify("preparing", {"what": what, "done": done, "total": total})

    workplace = Workplace(torch.device(first(device)), report, device.split("+"))
    found = process_state.capture()
    sent = 0.0

    def notify(kind: str, facts: dict[str, Any]) -> bool:
        nonlocal sent
        often = kind in ("progress", "preparing")
        if not often or time.monotonic() - sent > PROGRESS_SECONDS:
            sent = time.monotonic()
            connection.send((kind, facts))
        return not _is_question(task, kind, facts) or bool(connection.recv())

    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        try:
            status: Status = run(task, workplace, notify, stop.is_set)
        except UserError as error:
            connection.send(("refused", {"message": str(error)}))
            continue
        changed = process_state.changes(found)
        if changed:
            remark = f"it changed its process ({'; '.join(changed)}): the next run gets a new one"
            RunFolder(task.folder).note(remark)
            notify("remarked", {"remark": remark})
        facts = {"outcome": status.outcome, "cause": status.cause, "update": status.update}
        # An error can leave a GPU's context unusable, and a method the process another one.
        failed = first(device) != "cpu" and status.outcome.is_failure
        leaves = failed or bool(changed)
        connection.send(("finished", {**facts, "cost": status.cost, "leaves": leaves}))


def _pass_on(kind: signal.Signals) -> None:
    """Let a signal that the system sends to this process stop the parent, once.

    The limit of CPU time is each process's own, and a worker is where the time goes.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    pid = parent.pid
    assert pid is not None, "a parent that runs has an id"

    def pass_on(*_: object) -> None:
        signal.signal(kind, signal.SIG_IGN)
        os.kill(pid, kind)

    if signal.getsignal(kind) is not signal.SIG_IGN:
        signal.signal(kind, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {kind})


def _end_with_parent() -> None:
    """End this process when its parent does, whatever it is doing: nobody else would."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
