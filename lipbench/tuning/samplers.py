"""Optuna's samplers and pruners, by its own names and options."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import optuna

from lipbench.errors import Mark, UserError, shortened, unknown
from lipbench.planning.resolve import Resolved
from lipbench.planning.schema import Named
from lipbench.planning.tuning import Objective, Parameter
from lipbench.words import counted


@dataclass(frozen=True)
class _Sampler:
    """What of a sampler decides whether it fits a study."""

    several_objectives: bool = True
    categorical: bool = True  # whether it models such parameters; else it draws them at random
    conditional: bool = True
    needs: str = ""  # a module that Optuna does not bring
    one_seed: bool = False  # its seed is that of a sequence, which trials share


SAMPLERS: Mapping[str, _Sampler] = {
    "TPESampler": _Sampler(),
    "GPSampler": _Sampler(conditional=False),
    "CmaEsSampler": _Sampler(
        several_objectives=False, categorical=False, conditional=False, needs="cmaes"
    ),
    "QMCSampler": _Sampler(categorical=False, conditional=False, one_seed=True),
    "RandomSampler": _Sampler(),
    "NSGAIISampler": _Sampler(),
}
PRUNERS = (
    "NopPruner",
    "MedianPruner",
    "PercentilePruner",
    "SuccessiveHalvingPruner",
    "HyperbandPruner",
)
_NONE = "NopPruner"


def check_sampler(resolved: Resolved, objectives: tuple[Objective, ...]) -> None:
    """Raise UserError for a sampler that does not exist, or does not fit the study."""
    assert resolved.suite.tune is not None
    given = resolved.suite.tune.sampler
    mark = resolved.document.mark(("tune", "sampler"))
    if given.name not in SAMPLERS:
        raise UserError(unknown("sampler", given.name, SAMPLERS), mark)
    about = SAMPLERS[given.name]
    if len(objectives) > 1 and not about.several_objectives:
        able = ", ".join(name for name, other in SAMPLERS.items() if other.several_objectives)
        raise UserError(f"{given.name} takes one objective; several: {able}", mark)
    if about.needs and importlib.util.find_spec(about.needs) is None:
        raise UserError(f"{given.name} needs {about.needs}: pip install 'lipbench[tune]'", mark)
    if "seed" in given.params:
        raise UserError("the study's seeds are the samplers'; leave the option seed out", mark)
    _check_options(optuna.samplers, given, mark)


def check_pruner(resolved: Resolved, objectives: tuple[Objective, ...]) -> None:
    """Raise UserError for a pruner that does not exist, or has nothing to judge by."""
    suite = resolved.suite
    assert suite.tune is not None
    given = suite.tune.pruner
    mark = resolved.document.mark(("tune", "pruner"))
    if given.name not in PRUNERS:
        raise UserError(unknown("pruner", given.name, PRUNERS), mark)
    _check_options(optuna.pruners, given, mark)
    if given.name == _NONE:
        return
    if len(objectives) > 1:
        raise UserError(
            "Optuna cannot prune trials of several objectives; pruner: NopPruner", mark
        )
    updates, every = suite.budget.generator_updates, suite.intervals.score
    if every is None or every >= updates:
        raise UserError(
            f"{given.name} needs scores during training; set intervals.score below the budget's "
            f"{counted(updates, 'update')}",
            mark,
        )
    chosen = resolved.protocol.selection.scores
    if objectives[0].name not in chosen:
        raise UserError(
            f"{given.name} judges by scores during training, and {objectives[0].name} is none "
            f"there: {resolved.protocol.id} measures {', '.join(chosen)}",
            mark,
        )
    _rehearse(given, range(every, updates + 1, every), mark)


def _rehearse(given: Named, steps: Iterable[int], mark: Mark) -> None:
    """Refuse options that only show to be wrong when a pruner is asked."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(pruner=pruner(given.name, given.params))
    try:
        for number in range(3):
            trial = study.ask()
            for step in steps:
                trial.report(float(number), step)
                trial.should_prune()
            study.tell(trial, float(number))
    except Exception as error:  # Optuna raises what it likes for a value that does not do
        raise UserError(f"{given.name}: {type(error).__name__}: {error}", mark) from error


def notes(sampler: str, search: Iterable[tuple[Parameter, ...]]) -> tuple[str, ...]:
    """Return what a reader should know of a sampler on these spaces."""
    about = SAMPLERS[sampler]
    drawn = sorted(
        {
            parameter.name
            for parameters in search
            for parameter in parameters
            if (parameter.when and not about.conditional)
            or (parameter.kind == "categorical" and not about.categorical)
        }
    )
    if not drawn:
        return ()
    verb = "they are" if len(drawn) > 1 else "it is"
    return (f"{sampler} does not model {', '.join(drawn)}: {verb} drawn at random.",)


def sampler(
    name: str, options: Mapping[str, Any], study: str, seed: int, number: int
) -> optuna.samplers.BaseSampler:
    """Return what draws one trial of a study.

    Its seed is a function of the study's name and seed, and of the trial's number: a study that
    is killed and goes on draws what it would have drawn, and never the same again.
    """
    key = f"{study}/{seed}" if SAMPLERS[name].one_seed else f"{study}/{seed}/{number}"
    drawn = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")
    quiet = {"warn_independent_sampling": False} if _warns(name) else {}
    return _made(optuna.samplers, name, {**quiet, **options, "seed": drawn})


def pruner(name: str, options: Mapping[str, Any]) -> optuna.pruners.BasePruner:
    """Return a study's pruner."""
    return _made(optuna.pruners, name, options)


def _warns(sampler: str) -> bool:
    """Return whether a sampler logs what it draws at random; a study's notes say so once."""
    about = SAMPLERS[sampler]
    return not (about.conditional and about.categorical)


def _made(module: Any, name: str, options: Mapping[str, Any]) -> Any:
    with warnings.catch_warnings():  # of what is experimental: a study that names it asks for it
        warnings.simplefilter("ignore")
        return getattr(module, name)(**options)


def _check_options(module: Any, given: Named, mark: Mark) -> None:
    known = {
        name: inspect.formatannotation(parameter.annotation)
        for name, parameter in inspect.signature(
            getattr(module, given.name).__init__
        ).parameters.items()
        if name not in ("self", "args", "kwargs", "seed")
    }
    for option, value in given.params.items():
        if option not in known:
            raise UserError(f"{given.name}: {unknown('option', option, known)}", mark)
        kind = type(value).__name__
        taken = known[option].replace("float", "float int").replace("None", "NoneType")
        if kind not in re.findall(r"\w+", taken):
            raise UserError(
                f"{given.name}: {option}: got {shortened(value)}; it is {known[option]}", mark
            )
    try:
        _made(module, given.name, given.params)
    except Exception as error:  # Optuna raises what it likes for a value that does not do
        first = str(error).splitlines()[0]
        raise UserError(f"{given.name}: {first}", mark) from error
