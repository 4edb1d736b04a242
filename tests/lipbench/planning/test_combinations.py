"""Rules of combinations hold for anybody's methods: they ask for traits, not for names."""

from __future__ import annotations

import pytest

from lipbench.method import Method, Trait
from lipbench.planning.combinations import broken


def one(*traits, hook="penalty"):
    """Return somebody's method with traits, and one hook."""
    forms = {
        "norm": lambda self, channels: None,
        "penalty": lambda self, discriminator, batch: None,
    }
    described = {
        "__doc__": "Somebody's.",
        "label": "x",
        "traits": frozenset(traits),
        hook: forms[hook],
    }
    return type("Own", (Method,), described)()


@pytest.mark.parametrize(
    ("first", "second", "loss", "rule"),
    [
        (Trait.DIVIDES_BY_SIGMA, None, "wasserstein", "spectral_norm_with_wasserstein"),
        (Trait.BOUNDS_NOTHING, None, "wasserstein", "wasserstein_without_control"),
        (Trait.TRAINS_OTHER_SHAPES, Trait.REPARAMETRIZES, "hinge", "factored_weights_with_others"),
        (Trait.APPLIES_TRANSFORM, Trait.REPARAMETRIZES, "hinge", "factored_weights_with_others"),
        (Trait.APPLIES_TRANSFORM, Trait.PENALIZES_WEIGHTS, "hinge",
         "penalty_on_untransformed_weights"),
        (Trait.DIVIDES_BY_GRADIENT, Trait.TWO_SIDED_PENALTY, "hinge",
         "gradient_normalization_with_target_one"),
    ],
)  # fmt: skip
def test_a_rule_holds_for_a_method_of_any_name_with_the_trait(first, second, loss, rule):
    methods = {"mine": one(first), **({"yours": one(second)} if second else {})}
    assert [found.name for found in broken(methods, loss)] == [rule]


def test_a_penalty_that_says_nothing_else_is_control_enough_for_the_wasserstein_loss():
    assert broken({"mine": one()}, "wasserstein") == []
    assert [rule.name for rule in broken({"mine": one(hook="norm")}, "wasserstein")] == [
        "wasserstein_without_control"
    ]


def test_a_gradient_penalty_beside_it_makes_spectral_normalization_fit_for_the_wasserstein_loss():
    methods = {"mine": one(Trait.DIVIDES_BY_SIGMA), "yours": one(Trait.INPUT_GRADIENTS)}
    assert broken(methods, "wasserstein") == []
