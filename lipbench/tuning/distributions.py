"""Searched parameters in Optuna's words."""

from __future__ import annotations

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial

from lipbench.planning.tuning import Parameter, Value


def distribution(parameter: Parameter) -> BaseDistribution:
    """Return what a parameter is drawn from."""
    low, high = parameter.low, parameter.high
    if parameter.kind == "categorical":
        return CategoricalDistribution(parameter.choices)
    if parameter.kind == "int":
        return IntDistribution(int(low), int(high), parameter.log, int(parameter.step or 1))
    return FloatDistribution(low, high, parameter.log, parameter.step)


def suggest(trial: Trial, parameter: Parameter) -> Value:
    """Return a trial's value of a parameter."""
    name, space = parameter.name, distribution(parameter)
    if isinstance(space, CategoricalDistribution):
        value: Value = trial.suggest_categorical(name, space.choices)
        return value
    if isinstance(space, IntDistribution):
        return trial.suggest_int(name, space.low, space.high, step=space.step, log=space.log)
    assert isinstance(space, FloatDistribution)
    return trial.suggest_float(name, space.low, space.high, step=space.step, log=space.log)
