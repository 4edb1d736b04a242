"""The auxiliary classifier: its two terms, and where its layer stands."""

from __future__ import annotations

import math

import pytest
import torch

from lipbench.discriminators import find, hidden
from lipbench.errors import UserError
from lipbench.method import Batch

LABELS = torch.tensor([0, 1])


@pytest.fixture
def classified(make, linear):
    """Return a function to a D whose features are 2 pixels and class logits 0 and their sum."""

    def classified(**fields):
        method, discriminator = make("auxiliary_classifier", **fields), linear([1.0, 2.0])
        discriminator.classes = 2
        discriminator = method.wrap(discriminator)
        with torch.no_grad():
            discriminator.head.classifier.weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
        return method, discriminator

    return classified


def images(*rows):
    return torch.tensor(rows)[:, None, None]


def test_ds_loss_gets_the_cross_entropy_of_the_real_images_alone(classified):
    """Logits (0, 3) and (0, -1) of classes 0 and 1: log(1 + e^3) and log(1 + e)."""
    method, discriminator = classified()
    real, fake = images([1.0, 2.0], [0.0, -1.0]), images([9.0, 9.0], [9.0, 9.0])
    batch = Batch.of(discriminator, real, fake, labels=LABELS)
    expected = (math.log(1 + math.e**3) + math.log(1 + math.e)) / 2
    assert method.penalty(discriminator, batch).item() == pytest.approx(expected)


def test_gs_loss_gets_a_tenth_of_that_of_the_generated_images_by_the_labels_they_were_made_of(
    classified,
):
    method, discriminator = classified()
    real, fake = images([9.0, 9.0], [9.0, 9.0]), images([1.0, 2.0], [0.0, -1.0])
    batch = Batch(
        real, fake, torch.zeros(2), torch.zeros(2), labels=LABELS, real_labels=1 - LABELS
    )
    loss = method.generator_loss(torch.tensor(7.0), None, discriminator, batch)
    expected = 7 + 0.1 * (math.log(1 + math.e**3) + math.log(1 + math.e)) / 2
    assert loss.item() == pytest.approx(expected)


def test_logits_are_those_without_the_classifier_which_is_a_layer_and_no_hidden_one(classified):
    _, discriminator = classified()
    assert discriminator(images([3.0, 4.0])).item() == pytest.approx(3 + 2 * 4)
    classifier = discriminator.head.classifier
    assert classifier in discriminator.layers()
    assert classifier not in hidden(discriminator)


def test_spectral_norm_reaches_the_classifier(classified, make):
    _, discriminator = classified()
    wrapped = make("spectral_norm").wrap(discriminator).eval()
    weight = find(wrapped, type(discriminator.head)).classifier.weight
    assert torch.linalg.matrix_norm(weight, 2).item() == pytest.approx(1.0, rel=1e-4)


def test_it_is_refused_where_there_are_no_labels(make, linear):
    with pytest.raises(UserError, match="auxiliary_classifier needs labels"):
        make("auxiliary_classifier").wrap(linear([1.0, 2.0]))
