"""Combinations of methods, and of methods with losses, that are invalid or known to be bad.

A suite with one is refused when it is planned, with the reason; unless it could not run at all,
`allow: [NAME]` runs it all the same. Rules ask for traits, hooks and claims, never for a method's
name, so that they hold for anybody's method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lipbench.method import Method, Trait

Methods = Mapping[str, Method]


@dataclass(frozen=True)
class Rule:
    """A combination that is refused: when, why, and where that is known from."""

    name: str
    broken: Callable[[Methods, str], bool]
    reason: str
    source: str
    impossible: bool = False  # it could not run, so nothing allows it


def broken(methods: Methods, loss: str) -> list[Rule]:
    """Return the rules that methods (by name) break together with a loss."""
    return [rule for rule in RULES.values() if rule.broken(methods, loss)]


def _having(methods: Methods, *traits: Trait) -> list[str]:
    """Return the names of the methods that have one of the traits."""
    return [name for name, method in methods.items() if method.traits.intersection(traits)]


def _overriding(methods: Methods, hook: str) -> list[str]:
    return [name for name, method in methods.items() if hook in method.hooks()]


def _batch_statistics_with_input_gradients(methods: Methods, loss: str) -> bool:
    return bool(_having(methods, Trait.BATCH_STATISTICS)) and bool(
        _having(methods, Trait.INPUT_GRADIENTS)
    )


def _projection_of_reparametrized_weights(methods: Methods, loss: str) -> bool:
    return bool(_having(methods, Trait.REPARAMETRIZES)) and bool(_overriding(methods, "project"))


def _two_reparametrizations(methods: Methods, loss: str) -> bool:
    return len(_having(methods, Trait.REPARAMETRIZES)) > 1


def _two_activations(methods: Methods, loss: str) -> bool:
    return len(_overriding(methods, "activation")) > 1


def _spectral_norm_with_wasserstein(methods: Methods, loss: str) -> bool:
    normalized = _having(methods, Trait.DIVIDES_BY_SIGMA)
    penalized = _having(methods, Trait.INPUT_GRADIENTS)
    return loss == "wasserstein" and bool(normalized) and not penalized


def _wasserstein_without_control(methods: Methods, loss: str) -> bool:
    controlled = any(
        method.claims
        or Trait.REPARAMETRIZES in method.traits
        or {"penalty", "project"} & set(method.hooks())
        for method in methods.values()
        if Trait.BOUNDS_NOTHING not in method.traits
    )
    return loss == "wasserstein" and not controlled


def _factored_weights_with_others(methods: Methods, loss: str) -> bool:
    others = set(_having(methods, Trait.REPARAMETRIZES)) | set(_overriding(methods, "project"))
    factored = _having(methods, Trait.TRAINS_OTHER_SHAPES, Trait.APPLIES_TRANSFORM)
    return any(others - {name} for name in factored)


def _penalty_on_untransformed_weights(methods: Methods, loss: str) -> bool:
    return bool(_having(methods, Trait.APPLIES_TRANSFORM)) and bool(
        _having(methods, Trait.PENALIZES_WEIGHTS)
    )


def _gradient_normalization_with_target_one(methods: Methods, loss: str) -> bool:
    return bool(_having(methods, Trait.DIVIDES_BY_GRADIENT)) and bool(
        _having(methods, Trait.TWO_SIDED_PENALTY)
    )


RULES = {
    rule.name: rule
    for rule in (
        Rule(
            "batch_statistics_with_input_gradients",
            _batch_statistics_with_input_gradients,
            "where an image's logit depends on its batch, D's gradient by one image is not the "
            "gradient of a function of that image, so a gradient penalty loses its meaning (with "
            "batch normalization the gradient of the summed logits of a normalized layer is 0); "
            "layer normalization is the usual stand-in",
            "Gulrajani et al. 2017, section 4; minibatch standard deviation is used with one all "
            "the same in Karras et al. 2018",
        ),
        Rule(
            "spectral_norm_with_wasserstein",
            _spectral_norm_with_wasserstein,
            "kernels of spectral norm 1 and leaky activations leave D with gradients far below 1, "
            "and the Wasserstein loss has nothing that makes up for the small scale: users report "
            "that it never trains",
            "github.com/pfnet-research/sngan_projection/issues/15; but Kurach et al. 2019, "
            "Figure 2, found that it helped",
        ),
        Rule(
            "projection_of_reparametrized_weights",
            _projection_of_reparametrized_weights,
            "the weight that D computes with is computed from another parameter, so moving "
            "weights in place changes nothing, or changes only what the reparametrization undoes",
            "derived; github.com/pytorch/pytorch/issues/180968 is the same trap at initialisation",
        ),
        Rule(
            "factored_weights_with_others",
            _factored_weights_with_others,
            "what it trains is not of the weight's shape, or its layers compute with a transform "
            "of the weight, so nothing else can compute or move it",
            "derived",
            impossible=True,
        ),
        Rule(
            "penalty_on_untransformed_weights",
            _penalty_on_untransformed_weights,
            "a layer's weight is transformed when it is applied (in Cayley convolutions, for "
            "example), so a penalty on it is on numbers whose scale and spectrum mean nothing",
            "derived from Trockman & Kolter 2021",
        ),
        Rule(
            "two_reparametrizations",
            _two_reparametrizations,
            "each recomputes what the other gave, so the result depends on their order and only "
            "the last one's promise holds",
            "derived",
        ),
        Rule(
            "two_activations",
            _two_activations,
            "each hidden layer has one activation, and the first method's is taken",
            "derived",
        ),
        Rule(
            "wasserstein_without_control",
            _wasserstein_without_control,
            "the Wasserstein loss is unbounded unless D's Lipschitz constant is: nothing here "
            "claims a bound, penalizes D or projects its weights",
            "Arjovsky et al. 2017; Kurach et al. 2019, section 2.1",
        ),
        Rule(
            "gradient_normalization_with_target_one",
            _gradient_normalization_with_target_one,
            "the division already fixes the gradient's norm: that of f / (|grad f| + |f|) is 1 "
            "only where its logit is 0, so a penalty that asks for norm 1 asks for a "
            "discriminator that tells nothing, and that of f / |grad f| is 1 everywhere",
            "derived from Wu et al. 2021 and Bhaskara et al. 2022",
        ),
    )
}
