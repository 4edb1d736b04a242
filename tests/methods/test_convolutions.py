"""Methods that bound the convolution as it is, and 1-Lipschitz layers, against dense matrices."""

from __future__ import annotations

import math

import pytest
import torch

from lipbench.architectures.standard_cnn import StandardDiscriminator
from lipbench.discriminators import matrix
from lipbench.exam import bounds

from ._convolutions import (
    CERTIFIED,
    SHAPES,
    draw,
    drawn,
    operator_norms,
    sigma,
)


@pytest.mark.parametrize(("name", "fields"), CERTIFIED)
@pytest.mark.parametrize("shape", SHAPES)
def test_certified_layers_have_norm_at_most_one_whatever_the_weights(make, name, fields, shape):
    for factor in (1e-2, 1.0, 30.0):
        discriminator = drawn(*shape)
        with torch.no_grad():
            for layer in discriminator.layers():
                layer.weight.mul_(factor)
        wrapped = make(name, **fields).wrap(discriminator)
        assert all(norm <= 1 + 2e-5 for norm in operator_norms(wrapped))


@pytest.mark.parametrize(("name", "fields"), CERTIFIED)
def test_certified_layers_stay_so_when_their_parameters_are_moved(make, name, fields):
    torch.manual_seed(0)
    wrapped = make(name, **fields).wrap(drawn(5, 2, 3, 1, 6))
    with torch.no_grad():
        for parameter in wrapped.parameters():
            parameter.add_(torch.randn_like(parameter))
    assert all(norm <= 1 + 2e-5 for norm in operator_norms(wrapped))


@pytest.mark.parametrize("name", ["aol", "orthogonal", "bjorck", "cayley", "sll"])
def test_a_whole_discriminator_of_them_is_1_lipschitz(make, name):
    torch.manual_seed(0)
    method = make(name)
    hidden = {"activation": method.activation} if name == "sll" else {}
    discriminator = method.wrap(StandardDiscriminator((1, 16, 16), 0.125, **hidden)).eval()
    a, b = draw(2, 8, 1, 16, 16)
    change = (discriminator(a) - discriminator(b)).abs()
    assert (change <= (a - b).flatten(1).norm(dim=1) * (1 + 1e-5)).all()
    assert bounds.input_gradient(discriminator, a) <= 1 + 1e-5


@pytest.mark.parametrize("name", ["orthogonal", "bjorck"])
@pytest.mark.parametrize(
    ("shape", "divisor"),
    [((4, 2, 3, 1, 5), 3), ((20, 2, 3, 1, 5), 3), ((4, 2, 4, 2, 6), 2), ((3, 2, 3, 2, 5), 2)],
)
def test_orthonormal_kernels_have_equal_singular_values(make, name, shape, divisor):
    wrapped = make(name).wrap(drawn(*shape))
    values = torch.linalg.svdvals(matrix(wrapped.body.conv.weight).detach())
    torch.testing.assert_close(values, torch.full_like(values, 1 / divisor), rtol=1e-3, atol=0)
    assert math.isclose(sigma(wrapped.head.weight), 1.0, rel_tol=1e-5)
