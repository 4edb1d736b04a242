"""Run one spec, whole: train, score, draw samples, keep the run folder."""

from __future__ import annotations

import functools
import math
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from lipbench import dataset, streams
from lipbench.cost import parameters
from lipbench.cost.timing import WARM_UP_UPDATES, Clock
from lipbench.data import Dataset, DatasetInfo, Split
from lipbench.dataset import Source
from lipbench.errors import STORAGE_ERRORS, UserError
from lipbench.outcome import Outcome
from lipbench.planning import parts
from lipbench.planning.plan import PlannedRun
from lipbench.planning.spec import RunSpec
from lipbench.planning.suite import Intervals
from lipbench.plugins import Plugins
from lipbench.protocols import SCORES, Protocol
from lipbench.runs import (
    checkpoints,
    estimates,
    parallel,
    pictures,
    restore,
    scores,
    surface,
)
from lipbench.runs.parallel import Follower
from lipbench.runs.restore import Trained
from lipbench.runs.run_folder import HEARTBEAT_SECONDS, RunFolder, Status
from lipbench.scoring import (
    NonFiniteFeatures,
    NonFiniteImages,
    Progress,
    Scorer,
    ScoreRecord,
    sampling,
    silent,
)
from lipbench.training import loop
from lipbench.training.loop import TrainState

SAMPLES = 100  # images in a grid
POINTS = 1000  # in a picture of points: our choice
_CPU_OOM = "DefaultCPUAllocator"  # what torch calls the culprit in a plain RuntimeError


@dataclass(frozen=True)
class Task:
    """One run to do and where; everything in it can cross to another process."""

    run: PlannedRun
    folder: Path
    dataset: DatasetInfo
    dataset_params: dict[str, Any]
    protocol: Protocol
    intervals: Intervals
    plugins: tuple[Path, ...]
    provenance: dict[str, Any]
    cache: Path
    weights: Path | None  # of Inception
    consults: bool = False  # whether to ask, after each selection, if the run is worth going on


class Workplace:
    """What a process keeps from one run to the next: data on the device, feature extractors."""

    def __init__(
        self, device: torch.device, report: Progress = silent, devices: Sequence[str] = ()
    ) -> None:
        """Keep what runs need on a device; `report` hears of features that are extracted.

        `devices` are those of all processes that train a run together, where there are several.
        """
        self.device, self._report = device, report
        self.devices = tuple(devices) or (str(device),)
        self._dataset = functools.lru_cache(maxsize=1)(self._load_dataset)
        self._scorer = functools.lru_cache(maxsize=1)(self._make_scorer)

    def dataset(self, info: DatasetInfo, source: Source, cache: Path) -> Dataset:
        """Return a dataset on the device."""
        return self._dataset(info, source, cache)

    def scorer(
        self,
        protocol: Protocol,
        info: DatasetInfo,
        source: Source,
        cache: Path,
        weights: Path | None,
    ) -> Scorer:
        """Return a scorer of a protocol, with its real images' features."""
        return self._scorer(protocol, info, source, cache, weights)

    def _load_dataset(self, info: DatasetInfo, source: Source, cache: Path) -> Dataset:
        return dataset.load(source, info, cache, self.device)

    def _make_scorer(
        self,
        protocol: Protocol,
        info: DatasetInfo,
        source: Source,
        cache: Path,
        weights: Path | None,
    ) -> Scorer:
        images = self._dataset(info, source, cache)
        return Scorer(protocol, images, self.device, cache, weights, self._report)


Notify = Callable[[str, dict[str, Any]], bool]


def run(task: Task, workplace: Workplace, notify: Notify, stop: Callable[[], bool]) -> Status:
    """Do a run, or what is left of it, and return how it ended.

    `notify` gets when training begins, progress, scores and remarks on what was repaired; when it
    returns False at the scores of a selection, the run ends as pruned. `stop` is asked after each
    update, and when it says so the run is checkpointed and left as interrupted. Raises UserError
    where the disk refuses: that stops a sweep, any other failure is this run's outcome.

    A completed run is scored by the task's protocol, and not trained; where that fails, the run
    stays completed, and the status returned says why.
    """
    folder = RunFolder(task.folder)
    before = folder.status()
    try:
        status = _attempt(task, folder, workplace, notify, stop)
        if status.outcome == Outcome.COMPLETED or before.outcome != Outcome.COMPLETED:
            folder.set_status(status)
        else:  # scoring by one more protocol failed: what was trained and scored stays
            notify("remarked", {"remark": f"not scored by {task.protocol.id}: {status.cause}"})
    except OSError as error:
        raise UserError(
            f"cannot write {error.filename or folder.path}: {error.strerror}. "
            "What was finished is untouched; the same command resumes"
        ) from error
    return status


def _attempt(
    task: Task, folder: RunFolder, workplace: Workplace, notify: Notify, stop: Callable[[], bool]
) -> Status:
    """Return the status that the work ends with; failures become one, with their cause."""
    work, is_trained = None, folder.status().outcome == Outcome.COMPLETED
    streams.seed_globals(task.run.spec.seed)  # as in a process of its own: other runs drew
    try:
        registry = Plugins(task.plugins)
        SCORES.join(registry.measures.files())
        folder.open(task.run.spec, _session(task, registry, workplace))
        work = _Work(task, folder, workplace, registry, notify, is_trained)
        status = work.score_again() if is_trained else work.finish(stop)
        if status.outcome.is_result:
            checkpoints.settle(task.folder)
        return status
    except UserError as error:
        return replace(folder.status(), outcome=Outcome.FAILED, cause=str(error))
    except BaseException as error:  # a hook's sys.exit() too: no signal is raised in a worker
        if _is_storage_error(error, task):
            raise
        outcome, cause = _diagnose(error, work.state if work else None)
        if outcome == Outcome.FAILED:
            folder.write_error(traceback.format_exc())
            cause = f"{cause} (traceback in error.txt)"
        status = work.status(outcome) if work else folder.status()
        return replace(status, outcome=outcome, cause=cause)


def _is_storage_error(error: BaseException, task: Task) -> bool:
    """Return whether the disk refused lipbench's own files, and not something of a plugin's."""
    if not isinstance(error, OSError) or error.errno not in STORAGE_ERRORS:
        return False
    if not error.filename:
        return True  # of an open file, which a plugin has no business with
    path = Path(error.filename).absolute()
    return any(path.is_relative_to(root.absolute()) for root in (task.folder, task.cache))


def _diagnose(error: BaseException, state: TrainState | None) -> tuple[Outcome, str]:
    """Return the outcome and the cause that an error stands for.

    Training that is not finite can also show as an error, of a decomposition for example.
    """
    cause = f"{type(error).__name__}: {error}".splitlines()[0]
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or _CPU_OOM in cause:
        return Outcome.OUT_OF_MEMORY, str(error).splitlines()[0]
    if state and isinstance(error, (NonFiniteImages, NonFiniteFeatures)):
        return Outcome.DIVERGED, f"{error} after update {state.update}"
    no_decomposition = isinstance(error, torch.linalg.LinAlgError)  # type: ignore[attr-defined]
    if state and (no_decomposition or not state.is_finite()):
        return Outcome.DIVERGED, f"{cause} at update {state.update + 1}"
    return Outcome.FAILED, cause


class _Work:
    """One run under way."""

    def __init__(
        self,
        task: Task,
        folder: RunFolder,
        workplace: Workplace,
        registry: Plugins,
        notify: Notify,
        is_trained: bool,
    ) -> None:
        """Take the run up: where it is trained, to score it, and no row of it changes.

        Raises UserError for a trained run without its last checkpoint.
        """
        self.task, self.folder, self.workplace, self.notify = task, folder, workplace, notify
        self.spec: RunSpec = task.run.spec
        self.source = parts.dataset(task.dataset.name, task.dataset_params, registry)
        self.dataset = workplace.dataset(task.dataset, self.source, task.cache)
        self.trained = self._finished(registry) if is_trained else self._resumed(registry)
        self.state: TrainState = self.trained.state
        images = estimates.work(task.run) / self.spec.budget.generator_updates
        self.clock = Clock(self.trained.cost, workplace.device, images)
        self.extra_parameters = parameters.extra(self.spec, self.state)

    def _finished(self, registry: Plugins) -> Trained:
        trained = restore.restore(self.spec, self.folder, registry, self.dataset.train)
        if trained.state.update < self.spec.budget.generator_updates:
            raise UserError(
                f"it cannot be scored by {self.task.protocol.id}: its checkpoint is gone"
            )
        return trained

    def _resumed(self, registry: Plugins) -> Trained:
        """Return what training goes on from; scores of two protocols are never compared."""
        trained, remarks = restore.resume(self.spec, self.folder, registry, self.dataset.train)
        best, now = trained.best, self.task.protocol.id
        if best and best.protocol not in ("", now):
            trained.best = None
            remarks.append(
                f"{best.protocol} chose the best generator so far; from here on {now} does"
            )
        self._remark(remarks)
        return trained

    def status(self, outcome: Outcome, cause: str | None = None) -> Status:
        """Return the run's status at the update that it has reached."""
        cost = {**self.clock.cost(), "extra_parameters": self.extra_parameters}
        return Status(outcome, cause, self.state.update, cost=cost)

    def finish(self, stop: Callable[[], bool]) -> Status:
        """Train to the end of the budget, then draw samples and score."""
        total = self.spec.budget.generator_updates
        self.folder.set_status(self.status(Outcome.RUNNING))
        if self.task.intervals.audit and self.state.update == 0:
            self._audit()
        self.notify("began", {"update": self.state.update})
        with parallel.following(self._follower(), self.workplace.devices, self.state):
            if ended := self._train(stop):
                return ended
        if stop():  # scoring can take longer than training, and the checkpoint is there
            return self.status(Outcome.INTERRUPTED)
        self._draw_samples()
        self._draw_surface()
        if not self.folder.is_scored(self.task.protocol.id, total):
            self._score()
        return self.status(Outcome.COMPLETED)

    def _train(self, stop: Callable[[], bool]) -> Status | None:
        """Train to the end of the budget, doing what is due; return how it ended before."""
        total, intervals = self.spec.budget.generator_updates, self.task.intervals
        lap_start = self.state.update
        heartbeat = 0.0
        self.clock.restart()
        for snapshot in loop.train(self.spec, self.dataset.train, self.state):
            update, stopped = snapshot.update, stop()
            due = functools.partial(_due, update, total)
            wanted = {name: due(every) for name, every in intervals.every().items()}
            warmed_up = not self.clock.is_warm and update - lap_start == WARM_UP_UPDATES
            if any(wanted.values()) or stopped or warmed_up:
                self.clock.lap(update - lap_start)
                lap_start = update
                if wanted["metrics"] and (cause := self._record_metrics()):
                    return self.status(Outcome.DIVERGED, cause)
                if wanted["score"] and intervals.score and not self._select():
                    return self.status(Outcome.PRUNED, f"unpromising at update {update:,}")
                if wanted["audit"] and intervals.audit:
                    self._audit()
                if wanted["samples"] and update < total:
                    self._draw_samples()
                if wanted["checkpoint"] or stopped:
                    self._checkpoint()
                if stopped and update < total:
                    return self.status(Outcome.INTERRUPTED)
                self.clock.restart()
            if time.monotonic() - heartbeat > HEARTBEAT_SECONDS:
                heartbeat = time.monotonic()
                self.folder.set_status(self.status(Outcome.RUNNING))
            self.notify("progress", {"update": update, "total": total})
        return None

    def _follower(self) -> Follower:
        """Return what another process needs to train this run, too."""
        task = self.task
        return Follower(self.spec, task.dataset, task.dataset_params, task.plugins, task.cache)

    def score_again(self) -> Status:
        """Score what was trained before, by the task's protocol."""
        self.notify("began", {"update": self.state.update})
        with self.clock.scoring():
            for record in scores.chosen(self.trained, self.folder, self._scorer()):
                self._keep(record)
        self._score()
        return self.status(Outcome.COMPLETED)

    def _record_metrics(self) -> str | None:
        """Append the means since the last row; return why training has diverged, if it has."""
        meter = self.state.meter
        row = {"update": self.state.update, **meter.read()}
        self.folder.append("metrics", row)
        if (first := int(meter.first_non_finite)) < 0:
            return None
        names = [name for name in loop.METRICS if not abs(row[name]) < float("inf")]
        return f"{', '.join(names)} not finite at update {first}"

    def _select(self) -> bool:
        """Measure what chooses the best checkpoint, and keep this generator if it is that.

        Returns whether the run shall go on.
        """
        state, kept = self.state, self.task.intervals.keep
        generator = state.sampler
        with self.clock.scoring():
            scorer = self._scorer()
            record = scores.select(generator, state, state.update, self.spec.seed, scorer)
        if kept != "last" and math.isfinite(record.scores[scorer.protocol.primary]):
            self.trained.best = scores.better(record, self.trained.best, scorer, generator)
        if kept == "all":
            self.folder.save_generator(state.update, generator.state_dict())
        return self._keep(record)

    def _score(self) -> None:
        """Measure what is reported: the last generator, and the best where one was chosen."""
        with self.clock.scoring():
            records = scores.measure(self.trained, self._scorer())
        for record in records:  # the last one's come last: where they are, all are
            self._keep(record)

    def _scorer(self) -> Scorer:
        task = self.task
        return self.workplace.scorer(
            task.protocol, task.dataset, self.source, task.cache, task.weights
        )

    def _keep(self, record: ScoreRecord) -> bool:
        scores.keep(self.folder, record, self.trained)
        facts = {"update": record.update, "checkpoint": record.checkpoint}
        return self.notify("scored", {**facts, "scores": record.scores})

    def _audit(self) -> None:
        try:
            with self.clock.auditing():
                row = restore.audit_row(self.spec, self.state, self.dataset, restore.AUDIT_IMAGES)
        except UserError:  # D or G is not finite: how the run ends is for its training to tell
            return
        self.folder.put("audits", row, ("update",))

    def _draw_samples(self) -> None:
        picture = sample_picture(self.state, self.spec.seed, self.dataset.train)
        self.folder.save_sample(self.state.update, picture)

    def _draw_surface(self) -> None:
        """Keep D's surface where samples are points in the plane, and every value is finite."""
        if self.dataset.train.shape != (2,):
            return
        state, data, seed = self.state, self.dataset.train, self.spec.seed
        plane = surface.plane(state.discriminator, samples_of(state, seed, data), data, seed)
        if plane is not None:
            self.folder.save_plane(plane)

    def _checkpoint(self) -> None:
        best = self.trained.best.to_state() if self.trained.best else None
        state = {"training": self.state.state_dict(), "best": best, "cost": self.clock.cost()}
        self._remark(self.folder.save_checkpoint(state, self.spec))

    def _remark(self, remarks: Sequence[str]) -> None:
        """Say what was repaired, in the manifest and to whoever watches."""
        for remark in remarks:
            self.folder.note(remark)
            self.notify("remarked", {"remark": remark})


def _due(update: int, total: int, interval: int | None) -> bool:
    return update == total or bool(interval and update % interval == 0)


def sample_picture(state: TrainState, seed: int, data: Split) -> Image.Image:
    """Return samples of fixed latents of the seed, the same for every method, as one picture."""
    return pictures.of_samples(samples_of(state, seed, data), data.samples)


def samples_of(state: TrainState, seed: int, data: Split) -> Tensor:
    """Return samples of fixed latents of the seed, the same for every method, on the CPU.

    Those of a conditional generator are of one class after the other, again and again.
    """
    count = SAMPLES if data.samples.dim() == 4 else POINTS
    latents = pictures.latents(state.latents, count, seed)
    generator, device = sampling.frozen(state.sampler), data.device
    return sampling.sample(generator, latents, device).cpu()


def _session(task: Task, registry: Plugins, workplace: Workplace) -> dict[str, Any]:
    """Return what the manifest says of this start of a run."""
    device = workplace.device
    named = {**parts.names(task.run.spec), "measures": [*SCORES.own(task.protocol.scores)]}
    return {
        **task.provenance,
        "started": time.time(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "processes": len(workplace.devices),
        "tf32": torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32,
        **{
            kind.sources: {name: kind[name].source_hash for name in named[kind.kind]}
            for kind in registry.kinds
        },
    }
