"""Suites on points in the plane: what is planned, and what is refused, with the place."""

from __future__ import annotations

import pytest

from lipbench.errors import UserError
from lipbench.method import Method
from lipbench.plugins import Plugins

POINTS = """
name: ring
dataset: gaussians
architecture: {name: mlp, units: 16, layers: 2}
methods: [none, spectral_norm]
settings: [C]
budget: {generator_updates: 6, batch_size: 8, generator_batch_size: 8}
protocol: points
"""
PLUGINS = Plugins()
PICKY = {
    name: method.requires
    for name in PLUGINS.methods.plugins
    if (method := PLUGINS.methods[name].load(Method)).requires.images
    or method.requires.convolutions
}


@pytest.fixture
def ring(write):
    """Return a function that writes such a suite, with parts of its text replaced."""
    return lambda *replacements: write(*replacements, text=POINTS)


def test_a_suite_of_points_is_planned_with_their_shape(ring, plan_of):
    plan = plan_of(ring())
    assert plan.runs[0].spec.dataset.shape == (2,)
    assert plan.dataset.classes == tuple("01234567")
    assert plan.protocol.id == "points@1"


def test_a_protocol_of_points_speaks_of_no_image(ring, plan_of):
    sentence = plan_of(ring()).protocol.sentence()
    assert "generated points" in sentence
    assert "image" not in sentence


@pytest.mark.parametrize("name", sorted(PICKY))
def test_a_method_about_images_or_convolutions_is_refused_on_an_mlp_with_its_line(
    name, ring, plan_of
):
    about = "images; these are points of 2" if PICKY[name].images else "convolutions; the discr"
    with pytest.raises(UserError, match=rf"tiny.yaml:5: .* is about {about}"):
        plan_of(ring(("[none, spectral_norm]", f"[{name}]")))


def test_all_other_methods_are_planned_on_points(ring, plan_of):
    others = sorted(PLUGINS.methods.plugins.keys() - PICKY.keys() - {"auxiliary_classifier"})
    loss = {n: PLUGINS.methods[n].load(Method).requires.loss for n in others}
    plain = [name for name in others if loss[name] in (None, "non_saturating")]
    entries = ", ".join(plain)
    assert len(plan_of(ring(("none, spectral_norm", entries))).runs) == len(plain)


def test_a_method_about_convolutions_is_refused_for_images_that_an_mlp_makes_too(ring, plan_of):
    digits = ("dataset: gaussians", "dataset: digits"), ("protocol: points", "protocol: digits")
    with pytest.raises(UserError, match=r"SLL is about convolutions; the discriminator of mlp"):
        plan_of(ring(*digits, ("[none, spectral_norm]", "[sll]")))
    plan_of(ring(*digits, ("[none, spectral_norm]", "[consistency_regularization]")))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("protocol: points", "protocol: digits", r":8: .*'digits' scores images; these are poi"),
        ("protocol: points", "protocol: offline_small", r":8: .* scores images; these are poi"),
        ("dataset: gaussians", "dataset: digits", r":8: .*'points' scores points; these are imag"),
        ("name: mlp, units: 16, layers: 2", "width: 0.125", r"standard_cnn makes .*points of 2"),
        ("layers: 2", "layers: 1", r":4: architecture 'mlp': layers: got 1"),
        ("dataset: gaussians", "dataset: {name: gaussians, arrangement: grid, modes: 24}",
         r":3: a grid of 24 modes is no square"),
        ("dataset: gaussians", "dataset: {name: gaussians, std: 0}", r":3: .*std: got 0"),
    ],
)  # fmt: skip
def test_what_does_not_fit_points_is_refused_with_its_line(old, new, message, ring, plan_of):
    with pytest.raises(UserError, match=message):
        plan_of(ring((old, new)))
