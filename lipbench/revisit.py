"""Do something with runs that are trained: score them again, audit them, draw from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from lipbench import streams, trained
from lipbench.networks import LATENT_DIM
from lipbench.plugins import Registry
from lipbench.protocols import Protocol
from lipbench.run import Resources
from lipbench.scoring import ScoreRecord, sampling
from lipbench.trained import Found, Trained


def evaluate(
    found: Iterable[Found],
    protocol: Protocol | None,
    checkpoints: Sequence[str],
    resources: Resources,
    cache: Path,
    weights: Path | None,
) -> Iterator[tuple[Found, Protocol, ScoreRecord]]:
    """Score runs under a protocol, by default each one's own, and keep that in their folders.

    It is what the run itself would have scored: the same latents. Raises UserError for a dataset
    that the protocol cannot score, and for a checkpoint that is not there.
    """
    for run in found:
        used = protocol or run.plan.protocol
        plan = run.plan
        scorer = resources.scorer(used, plan.dataset, plan.dataset_path, cache, weights)
        restored = _restore(run, resources, cache)
        for checkpoint in checkpoints:
            generator, update = restored.sampler(checkpoint)
            record = scorer.score(
                generator.to(resources.device),
                latent_dim=LATENT_DIM,
                seed=restored.spec.seed,
                update=update,
                checkpoint="best" if checkpoint == "best" else "last",
            )
            row = record.to_json() | {"record": asdict(used)}
            run.folder.put("evals", row, ("protocol", "checkpoint"))
            yield run, used, record


def audit(
    found: Iterable[Found], images: int, resources: Resources, cache: Path
) -> Iterator[tuple[Found, dict[str, Any]]]:
    """Audit runs' discriminators at their last update, and keep that in their folders."""
    for run in found:
        restored = _restore(run, resources, cache)
        data = resources.dataset(run.plan.dataset, run.plan.dataset_path, cache)
        row = trained.audit_row(restored.spec, restored.state, data, images)
        run.folder.put("audits", row, ("update",))
        yield run, row


def sample(
    run: Found, checkpoint: str, count: int, seed: int, resources: Resources, cache: Path
) -> tuple[Tensor, int]:
    """Return images that a run's generator draws, uint8 (N, C, H, W), and of which update.

    The latents are those of the run's own sample grids where the seed is the run's.
    """
    generator, update = _restore(run, resources, cache).sampler(checkpoint)
    latents = streams.latents(count, LATENT_DIM, seed, "samples")
    frozen = sampling.frozen(generator).to(resources.device)
    return sampling.sample(frozen, latents, resources.device).cpu(), update


def _restore(run: Found, resources: Resources, cache: Path) -> Trained:
    data = resources.dataset(run.plan.dataset, run.plan.dataset_path, cache)
    registry = Registry("methods", run.plan.plugins)
    return trained.restore(run.folder.spec(), run.folder, registry, data.train)
