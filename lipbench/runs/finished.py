"""Do something with runs that are trained: score them again, audit them, draw from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from lipbench import process_state, streams
from lipbench.dataset import Source
from lipbench.errors import UserError
from lipbench.networks import LATENT_DIM
from lipbench.planning import parts
from lipbench.plugins import Plugins
from lipbench.protocols import Protocol
from lipbench.runs import restore
from lipbench.runs.restore import Found, Trained
from lipbench.runs.run import Workplace
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
    restored = reopen(run, workplace, cache)
    generators = [(name, *restored.sampler(name)) for name in checkpoints]
    scorer = workplace.scorer(used, plan.dataset, _source(run), cache, weights)
    records = []
    for checkpoint, generator, update in generators:
        try:
            record = scorer.score(
                generator.to(workplace.device),
                latent_dim=LATENT_DIM,
                seed=restored.spec.seed,
                update=update,
                checkpoint="best" if checkpoint == "best" else "last",
            )
        except (NonFiniteImages, NonFiniteFeatures) as error:
            raise UserError(f"update {update:,} cannot be scored: {error}") from error
        # With what the run had reached: a best one is that of so much training.
        row = record.to_json() | {"record": asdict(used), "reached": restored.state.update}
        run.folder.put("evals", row, ("protocol", "checkpoint"))
        records.append((used, record))
    return records


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
    run: Found, checkpoint: str, count: int, seed: int, workplace: Workplace, cache: Path
) -> tuple[Tensor, int]:
    """Return images that a run's generator draws, uint8 (N, C, H, W), and of which update.

    The latents are those of the run's own sample grids where the seed is the run's.
    """
    generator, update = reopen(run, workplace, cache).sampler(checkpoint)
    latents = streams.latents(count, LATENT_DIM, seed, "samples")
    frozen = sampling.frozen(generator).to(workplace.device)
    return sampling.sample(frozen, latents, workplace.device).cpu(), update


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
