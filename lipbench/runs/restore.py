"""Take up what a run has trained: to go on, to score it again, to audit it, to draw from it."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lipbench import streams
from lipbench.audit import audit
from lipbench.data import Dataset, Split
from lipbench.errors import UserError
from lipbench.planning import parts
from lipbench.planning.plan import Plan
from lipbench.planning.spec import RunSpec
from lipbench.plugins import Plugins
from lipbench.runs import checkpoints
from lipbench.runs.run_folder import SERIES, RunFolder
from lipbench.runs.suite_folder import SuiteFolder
from lipbench.scoring import sampling
from lipbench.training import batches, loop
from lipbench.training.loop import TrainState

AUDIT_IMAGES = 256  # of each kind: training, held-out and generated ones; our choice


@dataclass(frozen=True)
class Found:
    """A run that somebody names, in the results that it belongs to."""

    folder: RunFolder
    plan: Plan
    method: str  # its labels
    setting: str


@dataclass(frozen=True)
class Best:
    """The generator that a protocol's selection scores chose so far, and its primary one."""

    update: int
    score: float
    generator: dict[str, Any]
    protocol: str = ""  # its id; an older checkpoint does not say it

    def to_state(self) -> dict[str, Any]:
        """Return it as tensors and numbers, for a checkpoint."""
        return dict(vars(self))


@dataclass
class Trained:
    """A run's state as its checkpoint has it."""

    spec: RunSpec
    state: TrainState
    best: Best | None
    cost: Mapping[str, float]

    def sampler(self, checkpoint: str) -> tuple[nn.Module, int]:
        """Return the generator to score of the `last` or the `best` update, and that update.

        Raises UserError where no best one was chosen.
        """
        if checkpoint == "last":
            return self.state.sampler, self.state.update
        if self.best is None:
            raise UserError(
                "no best checkpoint was chosen: that needs scores during training "
                "(`intervals: {score: UPDATES}` in the suite)"
            )
        return with_weights(self.state.sampler, self.best.generator), self.best.update


def with_weights(network: nn.Module, weights: Mapping[str, Any]) -> nn.Module:
    """Return a copy of a network with other weights."""
    network = copy.deepcopy(network)
    network.load_state_dict(weights)
    return network


def restore(spec: RunSpec, folder: RunFolder, registry: Plugins, data: Split) -> Trained:
    """Return a run's state as its newest checkpoint has it, or before its first update without.

    Raises UserError for a checkpoint that is damaged, of another run, or of other networks.
    """
    return _restored(spec, folder.load_checkpoint(spec), folder, registry, data)


def resume(
    spec: RunSpec, folder: RunFolder, registry: Plugins, data: Split
) -> tuple[Trained, list[str]]:
    """Return the state that a run goes on from, and a sentence on each thing that was repaired.

    That is the newest checkpoint that is sound, with the rows of its update in the folder; where
    there is none, the run begins anew. Raises UserError for one of other networks.
    """
    found = checkpoints.resume(folder.path, spec)
    state = _restored(spec, found.state, folder, registry, data)
    series = found.state.get("series") if found.state else dict.fromkeys(SERIES, "")
    repaired = folder.go_back(state.state.update or -1, series)  # anew: no row stays
    return state, [*found.remarks, *repaired]


def _restored(
    spec: RunSpec,
    stored: dict[str, Any] | None,
    folder: RunFolder,
    registry: Plugins,
    data: Split,
) -> Trained:
    state = loop.build(spec, parts.of(spec, registry), data)
    if stored is None:
        return Trained(spec, state, None, {})
    try:
        state.load_state_dict(stored["training"])
        best = Best(**stored["best"]) if stored.get("best") else None
        return Trained(spec, state, best, dict(stored["cost"]))
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        detail = lines[1] if len(lines) > 1 else lines[0]  # torch's first line names the class
        raise UserError(
            f"{folder.path / checkpoints.CURRENT} does not fit the run's networks "
            f"({spec.architecture}): {detail}"
        ) from error


def find(paths: Iterable[Path]) -> list[Found]:
    """Return the runs of some paths: run folders, or results of suites, all their trained runs.

    Raises UserError for another folder, for a run without a checkpoint, and where there is none.
    """
    found = []
    for path in paths:
        if (path / "plan.json").is_file():
            of_suite = _trained_runs(SuiteFolder(path))
            if not of_suite:
                raise UserError(f"{path} has no run with a checkpoint yet")
            found += of_suite
            continue
        if not (path / "spec.json").is_file():
            raise UserError(
                f"{path} is neither a run's folder nor a suite's results, e.g. "
                "runs/quickstart, or one of runs/quickstart/runs/"
            )
        suite = SuiteFolder(path.absolute().parent.parent)
        if reason := suite.uncounted().get(path.absolute()):
            raise UserError(reason)
        here = [
            run for run in _trained_runs(suite) if run.folder.path.name == path.absolute().name
        ]
        if not here:
            raise UserError(
                f"{path} has no checkpoint, or its suite's current plan has no such run"
            )
        found += here
    return found


def _trained_runs(suite: SuiteFolder) -> list[Found]:
    plan, folders = suite.plan(), suite.folders()
    return [
        Found(folders[run.spec.hash], plan, run.method, run.setting)
        for run in plan.unique
        if run.spec.hash in folders and checkpoints.exists(folders[run.spec.hash].path)
    ]


def audit_row(spec: RunSpec, state: TrainState, data: Dataset, images: int) -> dict[str, Any]:
    """Return the audit of a run's discriminator, at the update that it has reached.

    On as many training, held-out and generated images, drawn by the seed alone; the generator is
    the one that is scored. A conditional D is audited as the function that it is of images of the
    most frequent class, the first of several, on images of that class, which the row names as
    `given_class`. It changes nothing: training goes on as if it had not been.
    """
    start = time.perf_counter()
    device, law = data.train.device, state.latents
    label = None  # of a conditional D: as a function of images alone it is that of one class
    if law.classes:
        label = torch.tensor([max(range(law.classes), key=law.shares.__getitem__)])
    latents = law.draw(
        images, spec.seed, "audit latents", labels=None if label is None else label.repeat(images)
    )
    generator = sampling.frozen(state.sampler)
    with torch.no_grad():
        fake = torch.cat([generator(part.to(device)) for part in latents.split(64)])
    given = None if label is None else label.to(device)
    with state.discriminator.given(given):
        facts = audit(
            state.discriminator,
            real=_drawn(data.train, images, spec.seed, "audit training images", given),
            heldout=_drawn(data.test, images, spec.seed, "audit held-out images", given),
            fake=fake,
            loss=state.parts.loss,
            seed=spec.seed,
        )
    row = {"update": state.update, **facts.to_json()}
    if label is not None:
        row["given_class"] = data.classes[int(label)]
    return row | {"seconds": time.perf_counter() - start}


def _drawn(split: Split, count: int, seed: int, stream: str, label: Tensor | None) -> Tensor:
    """Return distinct images of a split, of a class where one is given, all of them at most."""
    device = split.device
    order = torch.randperm(len(split), generator=streams.generator(seed, stream)).to(device)
    if label is not None:
        order = order[split.labels[order] == label]
    return batches.network_inputs(split.at(order[:count]))
