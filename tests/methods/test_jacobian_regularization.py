"""The method jacobian_regularization, on cases that can be solved by hand."""

from __future__ import annotations

import math

from lipbench.method import Batch

from ._penalties import (
    images,
    standard,
)


def test_jacobian_regularization_is_the_mean_of_r1_and_r2(make):
    discriminator = standard()
    given = Batch.of(discriminator, images(seed=1), images(seed=2))
    found = make("jacobian_regularization").penalty(discriminator, given).item()
    parts = [make(name).penalty(discriminator, given).item() for name in ("r1", "r2")]
    assert not math.isclose(*parts, rel_tol=1e-2)
    assert math.isclose(found, sum(parts) / 2, rel_tol=1e-5)
