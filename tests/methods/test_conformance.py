"""What every installed method must do, whatever it is."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from lipbench import data, paths, training
from lipbench.discriminators import matrix
from lipbench.method import Method
from lipbench.plugins import Registry
from lipbench.spec import Budget, DatasetSpec, LossSpec, RunSpec, Setting

REGISTRY = Registry("methods")
UPDATES = 6


@pytest.fixture(scope="module")
def digits() -> data.Split:
    cache = paths.cache_root()
    info = data.inspect("digits", None, None, cache)
    return data.load(info, None, cache, torch.device("cpu")).train


@pytest.fixture(params=sorted(REGISTRY.plugins))
def method(request: pytest.FixtureRequest) -> Method:
    method = REGISTRY[request.param].load(Method)()
    assert isinstance(method, Method)
    return method


def spec(method: Method, precision: str = "float32") -> RunSpec:
    return RunSpec(
        methods=(),
        setting=Setting(2e-4, 0.5, 0.999, 2),
        architecture="standard_cnn",
        width=0.125,
        initialisation="xavier_uniform",  # large enough for bounds to bind at once
        loss=LossSpec(method.requires.loss or "non_saturating", {}),
        dataset=DatasetSpec("digits", "", 16, 1),
        budget=Budget(UPDATES, 16, 16, "constant"),
        precision=precision,
        ema_decay=None,
        protocol="",
        score_every=None,
        seed=0,
    )


def trained(run: RunSpec, methods: list[Method], digits: data.Split) -> training.TrainState:
    state = training.build(run, methods, digits)
    for _ in training.train(run, digits, state):
        pass
    return state


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_trains_with_finite_losses_and_weights(method, digits, precision):
    state = trained(spec(method, precision), [method], digits)
    assert state.update == UPDATES
    assert int(state.meter.first_non_finite) == -1
    assert all(weight.isfinite().all() for weight in state.discriminator.parameters())


def test_it_changes_something_unless_it_is_none(method, digits):
    run = spec(method)
    with_it = trained(run, [method], digits).generator.state_dict()
    without = trained(run, [], digits).generator.state_dict()
    same = all(torch.equal(with_it[name], without[name]) for name in without)
    assert same == (method.label == "none")


def test_the_same_spec_gives_the_same_bits(method, digits):
    first, second = (trained(spec(method), [method], digits) for _ in range(2))
    for name, weight in first.discriminator.state_dict().items():
        assert torch.equal(weight, second.discriminator.state_dict()[name]), name


def test_a_run_resumed_from_a_checkpoint_ends_with_the_same_bits(method, digits):
    run = spec(method)
    whole = trained(run, [method], digits)
    state = training.build(run, [method], digits)
    updates = training.train(run, digits, state)
    for _ in range(3):
        next(updates)
    resumed = training.build(dataclasses.replace(run), [method], digits)
    resumed.load_state_dict(state.state_dict())
    for _ in training.train(run, digits, resumed):
        pass
    for network in ("generator", "discriminator"):
        expected = getattr(whole, network).state_dict()
        for name, weight in getattr(resumed, network).state_dict().items():
            assert torch.equal(weight, expected[name]), name


def test_it_keeps_what_it_claims_through_training(method, digits):
    state = trained(spec(method), [method], digits)
    state.discriminator.eval()
    for claim in method.claims:
        for layer in state.discriminator.layers():
            sigma = torch.linalg.matrix_norm(matrix(layer.weight), 2)
            assert sigma <= claim.sigma_kernel + claim.tolerance


def test_it_says_what_it_is(method):
    assert method.label
    assert type(method).__doc__
