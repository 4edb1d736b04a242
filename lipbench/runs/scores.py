"""Score a run's generators under a protocol: when its training ends, and at any time after."""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from torch import nn

from lipbench.protocols import SCORES
from lipbench.runs.restore import Best, Trained, with_weights
from lipbench.runs.run_folder import RunFolder
from lipbench.scoring import Scorer, ScoreRecord
from lipbench.training.loop import TrainState

LAST_AND_BEST = ("last", "best")


def select(
    generator: nn.Module, state: TrainState, update: int, seed: int, scorer: Scorer
) -> ScoreRecord:
    """Return the scores that choose a checkpoint, of a generator of some update."""
    return scorer.select(generator, latents=state.latents, seed=seed, update=update)


def better(record: ScoreRecord, best: Best | None, scorer: Scorer, generator: nn.Module) -> Best:
    """Return the better one of the best generator so far and one with these selection scores.

    One whose score is not a number is never it, unless there is no other.
    """
    primary = scorer.protocol.primary
    score = record.scores[primary]
    sign = 1 if SCORES[primary].higher_is_better else -1
    if best and not (math.isfinite(score) and sign * score > sign * best.score):
        return best
    weights = {name: value.clone() for name, value in generator.state_dict().items()}
    return Best(record.update, score, weights, scorer.protocol.id)


def chosen(trained: Trained, folder: RunFolder, scorer: Scorer) -> Iterator[ScoreRecord]:
    """Choose a run's best generator by another protocol's selection, where all were kept.

    Yields the selection's scores of each, and leaves the best one in `trained`. Where a protocol
    has chosen already, or only one generator was kept, nothing changes.
    """
    if trained.best is None or trained.best.protocol in ("", scorer.protocol.id):
        return
    best = None
    for update, weights in folder.generators():
        generator = with_weights(trained.state.sampler, weights)
        record = select(generator, trained.state, update, trained.spec.seed, scorer)
        if math.isfinite(record.scores[scorer.protocol.primary]):
            best = better(record, best, scorer, generator)
        yield record
    trained.best = best or trained.best


def measure(
    trained: Trained, scorer: Scorer, checkpoints: Collection[str] = LAST_AND_BEST
) -> list[ScoreRecord]:
    """Return the scores of the last generator, and of the best where one was chosen.

    The last one's come last. Raises UserError where the best is asked for alone and none was
    chosen, and NonFiniteImages or NonFiniteFeatures as `Scorer.score` does.
    """
    state = trained.state
    score = functools.partial(scorer.score, latents=state.latents, seed=trained.spec.seed)
    found = {}
    if "last" in checkpoints:
        found["last"] = score(state.sampler, update=state.update)
    if "best" in checkpoints and (trained.best or "last" not in checkpoints):
        generator, update = trained.sampler("best")
        if "last" in found and update == state.update:
            found["best"] = replace(found["last"], checkpoint="best", seconds=0.0)
        else:
            found["best"] = score(generator, update=update, checkpoint="best")
    return [found[name] for name in reversed(LAST_AND_BEST) if name in found]


def keep(folder: RunFolder, record: ScoreRecord, trained: Trained) -> None:
    """Write scores to a run's folder, in place of those that the protocol gave it before."""
    row: dict[str, Any] = {**record.to_json(), "reached": trained.state.update}
    if record.checkpoint == "best" and trained.best:
        row["chosen_by"] = trained.best.protocol
    keys = ("protocol", "checkpoint", *(("update",) if record.checkpoint == "selection" else ()))
    folder.put("scores", row, keys)
