"""The method virtual_batch_norm, on cases that can be solved by hand."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from lipbench.architectures.standard_cnn import StandardDiscriminator
from lipbench.discriminators import input_shapes

from ._activations import (
    SHAPES,
    noise,
    normalized,
    referenced,
    virtual,
)


def test_virtual_batch_norm_counts_an_image_in_with_the_reference_batch(make):
    """Reference mean 0 and mean square 1, image 4 and 16: mean 2, square 8.5, variance 4.5."""
    layer = referenced(make, 1, count=1)
    activations = torch.tensor([[[[-1.0, 1.0]]], [[[4.0, 4.0]]]])
    outputs = layer(activations)
    torch.testing.assert_close(outputs[0], torch.tensor([[[-1.0, 1.0]]]), atol=1e-4, rtol=0)
    image = torch.full((1, 1, 2), 2 / math.sqrt(4.5))
    torch.testing.assert_close(outputs[1], image, atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_virtual_batch_norm_is_batch_norm_of_the_reference_and_one_image(make, shape):
    reference, images = 3 + noise(*shape), 2 * noise(*shape, seed=1)
    outputs = referenced(make, shape[1], len(reference))(torch.cat([reference, images]))
    expected = normalized(reference, (0, 2, 3))
    torch.testing.assert_close(outputs[: len(reference)], expected, atol=1e-4, rtol=0)
    for image, output in zip(images, outputs[len(reference) :], strict=True):
        both = normalized(torch.cat([reference, image[None]]), (0, 2, 3))
        torch.testing.assert_close(output, both[-1], atol=1e-4, rtol=0)


def test_virtual_batch_norm_gives_an_image_a_logit_that_no_other_image_changes(make):
    discriminator = virtual(make)
    images = noise(6, 3, 16, 16)
    logits = discriminator(images)
    assert logits.shape == (6,)
    for mode in (True, False):
        discriminator.train(mode)
        torch.testing.assert_close(discriminator(images[2:3]), logits[2:3], atol=1e-5, rtol=1e-5)
    assert discriminator.features(images).shape == (6, discriminator.head.in_features)


def test_virtual_batch_norms_logits_depend_on_the_reference_batch(make):
    discriminator = virtual(make)
    images = noise(2, 3, 16, 16)
    before = discriminator(images)
    with torch.no_grad():
        make("virtual_batch_norm").prepare(discriminator, 0.1 * noise(5, 3, 16, 16))
    assert (discriminator(images) - before).abs().min() > 1e-4


def test_virtual_batch_norm_before_its_reference_batch_is_instance_norm(make):
    discriminator = virtual(make, prepared=False)
    assert len(input_shapes(discriminator)) == 8
    twin = StandardDiscriminator((3, 16, 16), 0.125, norm=make("instance_norm").norm)
    twin.load_state_dict(
        {name.replace("body.body", "body"): value for name, value in
         discriminator.state_dict().items() if not name.endswith("reference")}
    )  # fmt: skip
    images = noise(3, 3, 16, 16)
    torch.testing.assert_close(discriminator(images), twin(images), atol=1e-5, rtol=1e-4)


def test_virtual_batch_norms_reference_batch_is_in_the_checkpoint(make):
    first, second = virtual(make), virtual(make)
    with torch.no_grad():
        make("virtual_batch_norm").prepare(first, noise(5, 3, 16, 16, seed=7))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    images = noise(2, 3, 16, 16)
    assert torch.equal(first(images), second(images))


def test_virtual_batch_norm_back_propagates_through_the_reference_batch(make):
    """With images that D ignores (x = 0 in a channel of its own) only the reference remains."""
    layer = referenced(make, 1, count=1)
    activations = torch.tensor([[[[-1.0, 2.0]]], [[[4.0, 5.0]]]], requires_grad=True)
    layer(activations)[1].square().sum().backward()
    assert activations.grad[0].abs().max() > 0
    small = torch.tensor([[[[-1.0, 2.0]]], [[[4.0, 5.0]]]], dtype=torch.float64)
    assert torch.autograd.gradcheck(layer.double(), small.requires_grad_())
    assert torch.autograd.gradgradcheck(layer, small)
