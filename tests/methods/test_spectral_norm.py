"""The method spectral_norm, on cases that can be solved by hand."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils import parametrizations

from lipbench.discriminators import matrix, original

from ._weights import (
    STRETCH,
    flat,
)


def test_spectral_norm_divides_each_weight_by_its_largest_singular_value(make, layers):
    discriminator = layers(flat([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[3.0, 4.0]]))
    torch.manual_seed(0)
    wrapped = make("spectral_norm").wrap(discriminator)
    for _ in range(30):
        assert wrapped.body.weight is not None  # each access in train mode is an iteration
    expected = torch.tensor([[1.0, 0.0], [0.0, 0.5]])
    torch.testing.assert_close(matrix(wrapped.body.weight), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(wrapped.head.weight, torch.tensor([[0.6, 0.8]]))


def test_spectral_norm_back_propagates_through_sigma_with_its_vectors_constant(make, layers):
    """Miyato et al. 2018, Eq. 11: (1/sigma) (G - lambda u v^T); by hand for diag(2, 1)."""
    discriminator = layers(flat([[2.0, 0.0], [0.0, 1.0]]), torch.ones(1, 2))
    torch.manual_seed(0)
    wrapped = make("spectral_norm", power_iterations=50).wrap(discriminator)
    incoming = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    (matrix(wrapped.body.weight) * incoming).sum().backward()
    expected = torch.tensor([[-1.0, 1.0], [1.5, 2.0]])
    gradient = matrix(original(wrapped.body).grad)
    torch.testing.assert_close(gradient, expected, atol=1e-4, rtol=0)


def test_spectral_norm_does_the_iterations_it_is_asked_for(make, layers):
    discriminator = layers(flat([[2.0, 0.0], [0.0, 1.0]]), torch.ones(1, 2))
    wrapped = make("spectral_norm", power_iterations=3).wrap(discriminator)
    parametrization = wrapped.body.parametrizations.weight[0]
    assert parametrization.n_power_iterations == 3


def test_spectral_norm_is_torchs_own_and_nothing_more(make, layers):
    wrapped = make("spectral_norm").wrap(layers(flat(STRETCH), torch.ones(1, 2)))
    reference = parametrizations.spectral_norm(nn.Conv2d(2, 2, 1))
    (mine,), (theirs,) = (layer.parametrizations.weight for layer in (wrapped.body, reference))
    assert type(mine) is type(theirs)
