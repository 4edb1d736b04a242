"""Do something with runs that are trained: score them again, audit them, draw from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from lipbench import process_state
from lipbench.dataset import Source
from lipbench.errors import UserError, unknown
from lipbench.planning import parts
from lipbench.plugins import Plugins
from lipbench.protocols import Protocol
from lipbench.runs import pictures, restore, scores
from lipbench.runs.restore import Found, Trained
from lipbench.runs.run import Workplace
from lipbench.runs.suite_folder import SuiteFolder
from lipbench.scoring import NonFiniteFeatures, NonFiniteImages, ScoreRecord, sampling


@process_state.kept()
def evaluate(
    run: Found,
    protocol: Protocol | None,
    checkpoints: Sequence[str],
    workplace: Workplace,
    cache: Path,
    weights: Path | None,
) -> list[tuple[Protocol, ScoreRecord]]:
    """Score a run under a protocol, by default its suite's, and keep that in its folder.

    It is what the run itself would have scored: the same latents. Raises UserError for a dataset
    that the protocol cannot score, a checkpoint that is not there, and images that are not finite.
    """
    used, plan = protocol or run.plan.protocol, run.plan
    trained = reopen(run, workplace, cache)
    if "best" in checkpoints:
        trained.sampler("best")  # before minutes of scoring
    scorer = workplace.scorer(used, plan.dataset, _source(run), cache, weights)
    try:
        if "best" in checkpoints:
            for record in scores.chosen(trained, run.folder, scorer):
                scores.keep(run.folder, record, trained)
        records = scores.measure(trained, scorer, checkpoints)
    except (NonFiniteImages, NonFiniteFeatures) as error:
        update = trained.sampler(checkpoints[0])[1]
        raise UserError(f"update {update:,} cannot be scored: {error}") from error
    SuiteFolder(run.folder.path.parent.parent).note_protocol(used)
    for record in records:
        scores.keep(run.folder, record, trained)
    order = list(checkpoints)
    records.sort(key=lambda record: order.index(record.checkpoint))
    return [(used, record) for record in records]


@process_state.kept()
def audit(run: Found, images: int, workplace: Workplace, cache: Path) -> dict[str, Any]:
    """Audit a run's discriminator at its last update, and keep that in its folder.

    Raises UserError for one that is not finite.
    """
    restored = reopen(run, workplace, cache)
    data = workplace.dataset(run.plan.dataset, _source(run), cache)
    row = restore.audit_row(restored.spec, restored.state, data, images)
    run.folder.put("audits", row, ("update",))
    return row


@process_state.kept()
def sample(
    run: Found,
    checkpoint: str,
    count: int,
    seed: int,
    workplace: Workplace,
    cache: Path,
    of_class: str | None = None,
) -> tuple[Tensor, int]:
    """Return samples that a run's generator draws, and of which update.

    Images are uint8 (N, C, H, W), points float32 (N, D). The latents are those of the run's own
    pictures of samples where the seed is the run's. A conditional generator draws the classes by
    turns, or one of them. Raises UserError for a class that there is not.
    """
    restored = reopen(run, workplace, cache)
    generator, update = restored.sampler(checkpoint)
    law, label = restored.state.latents, None
    if of_class is not None:
        known = run.plan.dataset.classes if law.classes else ()
        if not known:
            raise UserError(f"{run.folder.path.name} is not conditional: it has no classes")
        if of_class not in known:
            raise UserError(unknown("class", of_class, known))
        label = known.index(of_class)
    latents = pictures.latents(law, count, seed, label)
    frozen = sampling.frozen(generator).to(workplace.device)
    return sampling.sample(frozen, latents, workplace.device).cpu(), update


def real(run: Found, workplace: Workplace, cache: Path) -> Tensor:
    """Return the training samples of a run, as its dataset has them."""
    return workplace.dataset(run.plan.dataset, _source(run), cache).train.samples


def reopen(run: Found, workplace: Workplace, cache: Path) -> Trained:
    """Return a run's networks and optimizers as its newest checkpoint has them.

    Raises UserError for a checkpoint that is damaged, or of other networks.
    """
    data = workplace.dataset(run.plan.dataset, _source(run), cache)
    registry = Plugins(run.plan.plugins)
    return restore.restore(run.folder.spec(), run.folder, registry, data.train)


def _source(run: Found) -> Source:
    plan = run.plan
    return parts.dataset(plan.dataset.name, plan.dataset_params, Plugins(plan.plugins))
