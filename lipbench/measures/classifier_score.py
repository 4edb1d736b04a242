"""The classifier score: exp E KL(p(y|x) || p(y)) (Salimans et al., NeurIPS 2016).

On Inception's classes it is the Inception score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

from lipbench.errors import UserError
from lipbench.measure import Features, Measure, On, Real, require_finite

if TYPE_CHECKING:
    from torch import Tensor

_SEED = 2020  # of the order in which images are split: torch-fidelity's default


@dataclass(frozen=True)
class ClassifierScore(Measure):
    """The mean score over `splits` of the fakes, between 1 and the number of classes.

    Images are shuffled before they are split, since a set may be sorted; with one split their
    order is of no account. Matches torch-fidelity's. It grows with the images of a split, so
    compare it at one N and one number of splits only.
    """

    title = "CS"
    description = (
        "Classifier score, exp E KL(p(y|x) || p(y)) over the classifier's classes: the "
        "Inception score's formula (Salimans et al. 2016); it misses most dropped classes "
        "where classes are many"
    )
    papers = ("salimans2016improved",)
    higher_is_better = True
    prefix = "cs"
    decimals = 2
    if_diverged = 1.0
    on = (On("inception", name="is", title="IS"),)
    needs_real = False
    needs_classes = True
    untold = (("splits", 1),)

    splits: Annotated[int, Ge(1)] = 1

    def fewest(self, features: int) -> tuple[int, str]:
        return 2 * self.splits, "2 for each of its splits"

    def value(self, fake: Features, real: Real) -> float:
        """Return the mean score. Raises UserError for fewer than 2 images a split."""
        from torch_fidelity.metric_isc import isc_features_to_metric  # takes seconds

        require_finite(fake)
        self._require_enough(fake)
        found = isc_features_to_metric(
            fake.logits, self.splits, shuffle=self.splits > 1, rng_seed=_SEED
        )
        return float(found["inception_score_mean"])

    def replicates(self, fake: Features, real: Real, counts: Tensor) -> Tensor:
        """Return the mean score over the same splits on draws of the fakes.

        A split's log-score is the entropy of its mean prediction less the mean entropy.
        """
        import numpy as np
        import torch

        require_finite(fake)
        self._require_enough(fake)
        splits, count = self.splits, len(fake.logits)
        logits = fake.logits.double()
        probabilities = logits.softmax(dim=1)
        certainty = _negative_entropy(logits.log_softmax(dim=1))
        order = torch.from_numpy(np.random.RandomState(_SEED).permutation(count))
        scores = []
        for split in range(splits):
            chosen = order[split * count // splits : (split + 1) * count // splits]
            shares = counts[:, chosen] / counts[:, chosen].sum(dim=1, keepdim=True)
            mean = shares @ probabilities[chosen]
            scores.append((shares @ certainty[chosen] - _negative_entropy(mean.log())).exp())
        return torch.stack(scores).mean(dim=0)

    def _require_enough(self, fake: Features) -> None:
        splits, count = self.splits, len(fake.logits)
        if count < 2 * splits:
            raise UserError(
                f"a classifier score over {splits} splits needs {2 * splits} images or more, "
                f"not {count}"
            )


def _negative_entropy(log_probabilities: Tensor) -> Tensor:
    """Return Σ p log p over the last dimension; a probability of 0 adds 0."""
    import torch

    return torch.special.entr(log_probabilities.exp()).sum(dim=-1).neg()
