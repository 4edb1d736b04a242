"""The Frechet distance between Gaussians fitted to real and to fake features.

|m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½) (Dowson and Landau 1982; on Inception's features it is the
FID of Heusel et al. 2017). With C1 = R Rᵀ, C1 C2 and the symmetric Rᵀ C2 R have the same non-zero
eigenvalues, which are found several times faster than those of the product.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigvalsh, lapack
from torch import Tensor

from lipbench.errors import UserError
from lipbench.measure import Real


class Moments(NamedTuple):
    """A set's mean and covariance in torch-fidelity's precisions, so that numbers agree."""

    mean: NDArray[np.float32]  # (features,)
    covariance: NDArray[np.float64]  # (features, features), over N - 1


class Fitted(NamedTuple):
    """The real side of a distance: what is needed of it more than once."""

    mean: NDArray[np.float32]
    root: NDArray[np.floating]  # R (features, rank), with R Rᵀ the covariance
    triangular: bool  # R is Cholesky's, else from eigenvectors
    total_variance: float


def moments(pooled: Tensor) -> Moments:
    """Return the moments of features (N, features); N must be 2 or more."""
    from torch_fidelity.metric_fid import fid_features_to_statistics  # takes seconds

    found = fid_features_to_statistics(pooled)
    return Moments(found["mu"], found["sigma"])


def frechet_distance(first: Moments, second: Moments) -> float:
    """Return the distance of two Gaussians, for covariances of any rank.

    Matches torch-fidelity's, whatever the images' number: that it is badly biased where there
    are not many more than features is for a measure's `value` to refuse.
    """
    return distance_to(fit(first), second)


def fit(known: Moments) -> Fitted:
    """Return moments with a root of their covariance.

    The root is Cholesky's where the covariance has full rank, else from its eigenvectors: dead
    features, or fewer different images than features, leave eigenvalues of zero.
    """
    covariance = known.covariance
    total = float(np.trace(covariance))
    try:
        return Fitted(known.mean, np.linalg.cholesky(covariance), True, total)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(covariance)
        kept = values > _rounding(values)
        root = vectors[:, kept] * np.sqrt(values[kept])
        return Fitted(known.mean, root, False, total)


def distance_to(real: Fitted, fake: Moments) -> float:
    """Return the distance between real images and fakes."""
    if real.triangular:  # half the operations of two products; the lower triangle of Rᵀ C2 R
        inner, _ = lapack.dsygst(fake.covariance.T, real.root, itype=2, lower=1)
    else:
        inner = real.root.T @ fake.covariance @ real.root
    # Of LAPACK's drivers the quickest here for eigenvalues alone; it may write over `inner`.
    values = eigvalsh(inner, lower=True, overwrite_a=True, check_finite=False, driver="ev")
    return _assemble(real, fake, values)


def influences(real: Fitted, pooled: Tensor) -> tuple[float, Tensor]:
    """Return the distance of fakes (N, features), and its derivatives by their weights (N,).

    The derivatives are at equal weights, of the mean and of the covariance over N - 1, and sum to
    zero. That of Σ √λ over the eigenvalues λ of M = Rᵀ C2 R is R M^-½ Rᵀ / 2 by C2.
    """
    fake = moments(pooled)
    values, vectors = np.linalg.eigh(real.root.T @ fake.covariance @ real.root)
    kept = values > _rounding(values)
    centred = pooled.numpy() - pooled.double().mean(dim=0).numpy()
    whitened = (centred @ (real.root @ vectors[:, kept])) * values[kept] ** -0.25
    by_covariance = np.square(centred).sum(axis=1) - np.square(whitened).sum(axis=1)
    by_mean = 2 * (centred @ (fake.mean - real.mean))
    derivatives = by_covariance / (len(pooled) - 1) + by_mean / len(pooled)
    # Weights of any sum are shares: only what an image adds to the mean image counts.
    relative = torch.from_numpy(derivatives - derivatives.mean())
    return _assemble(real, fake, values), relative


def changes(weights: Tensor, derivatives: Tensor) -> Tensor:
    """Return the first-order changes (B,) that weights (B, N) of any sum make."""
    return (weights / weights.mean(dim=1, keepdim=True) - 1) @ derivatives


def fitted(real: Real) -> Fitted:
    """Return the Gaussian of the real images."""
    return fit(moments(real.features.pooled))


def require_more_images_than_features(*sets: Tensor) -> None:
    """Raise UserError for a set (N, features) of N up to the number of features."""
    for pooled in sets:
        count, dimension = pooled.shape
        if count <= dimension:
            raise UserError(
                f"a Frechet distance on {dimension} features needs more than {dimension} real "
                f"and generated images, far more to be of use; one set has {count}"
            )


def _assemble(real: Fitted, fake: Moments, values: NDArray[np.floating]) -> float:
    """Return the distance from the eigenvalues of Rᵀ C2 R."""
    difference = real.mean - fake.mean
    roots = float(np.sqrt(values.clip(min=0)).sum())  # rounding leaves some below zero
    spread = real.total_variance + float(np.trace(fake.covariance))
    return float(difference.dot(difference)) + spread - 2 * roots


def _rounding(values: NDArray[np.floating]) -> float:
    """Return what an eigenvalue, of these ascending ones, must exceed to be no rounding error."""
    return len(values) * float(np.finfo(values.dtype).eps * values[-1])
