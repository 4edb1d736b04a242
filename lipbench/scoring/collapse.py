"""Whether a generator makes nearly the same image always."""

from __future__ import annotations

from lipbench.measure import Features, Real, require_finite


def collapsed(fake: Features, real: Real, ratio: float) -> bool:
    """Tell if the fakes' total feature variance is below `ratio` of the real images'."""
    require_finite(fake)
    return _total_variance(fake) < ratio * real.of(_real_variance)


def _total_variance(features: Features) -> float:
    return features.pooled.double().var(dim=0).sum().item()


def _real_variance(real: Real) -> float:
    return _total_variance(real.features)
