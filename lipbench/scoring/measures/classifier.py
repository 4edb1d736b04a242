"""The classifier score: exp E KL(p(y|x) || p(y)) (Salimans et al., NeurIPS 2016).

On Inception's classes it is the Inception score.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lipbench.errors import UserError
from lipbench.scoring.features import Features
from lipbench.scoring.measures.contract import Measure, Options, Real, require_finite, whole

_SEED = 2020  # of the order in which images are split: torch-fidelity's default


def value(fake: Features, real: Real, options: Options) -> float:
    """Return the mean score over `splits` of the fakes, between 1 and the number of classes.

    Images are shuffled before they are split, since a set may be sorted; with one split their
    order is of no account. Matches torch-fidelity's. It grows with the images of a split, so
    compare it at one N and one number of splits only. Raises UserError for fewer than 2 images a
    split.
    """
    from torch_fidelity.metric_isc import isc_features_to_metric  # takes seconds

    require_finite(fake)
    splits = _splits(fake, options)
    found = isc_features_to_metric(fake.logits, splits, shuffle=splits > 1, rng_seed=_SEED)
    return float(found["inception_score_mean"])


def replicates(fake: Features, real: Real, options: Options, weights: Tensor) -> Tensor:
    """Return the mean score over the same splits on draws of the fakes.

    A split's log-score is the entropy of its mean prediction less the mean entropy.
    """
    require_finite(fake)
    splits = _splits(fake, options)
    count = len(fake.logits)
    logits = fake.logits.double()
    probabilities, certainty = logits.softmax(dim=1), _negative_entropy(logits.log_softmax(dim=1))
    order = torch.from_numpy(np.random.RandomState(_SEED).permutation(count))
    scores = []
    for split in range(splits):
        chosen = order[split * count // splits : (split + 1) * count // splits]
        shares = weights[:, chosen] / weights[:, chosen].sum(dim=1, keepdim=True)
        mean = shares @ probabilities[chosen]
        scores.append((shares @ certainty[chosen] - _negative_entropy(mean.log())).exp())
    return torch.stack(scores).mean(dim=0)


def _splits(fake: Features, options: Options) -> int:
    splits, count = whole(options, "splits"), len(fake.logits)
    if count < 2 * splits:
        raise UserError(
            f"a classifier score over {splits} splits needs {2 * splits} images or more, "
            f"not {count}"
        )
    return splits


def _negative_entropy(log_probabilities: Tensor) -> Tensor:
    """Return Σ p log p over the last dimension; a probability of 0 adds 0."""
    return torch.special.entr(log_probabilities.exp()).sum(dim=-1).neg()


MEASURE = Measure(value, replicates)
