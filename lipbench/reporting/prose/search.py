"""How a study searched for hyperparameters."""

from __future__ import annotations

from collections.abc import Iterator

from lipbench.planning.tuning import Tuning
from lipbench.reporting import terms
from lipbench.reporting.citations import Citations
from lipbench.reporting.latex import breakable
from lipbench.reporting.prose.phrases import called, ended, seeds
from lipbench.results.results import Results
from lipbench.words import listed


def sentences(results: Results, tuning: Tuning, cite: Citations) -> Iterator[str]:
    """Yield what was searched, for what, with which budget, and what was trained again."""
    repeats = f", and was repeated with {seeds(tuning.seeds)}" * (len(tuning.seeds) > 1)
    yield (
        "The hyperparameters of each method were searched with Optuna's "
        f"{called(tuning.sampler, tuning.sampler_options)}{cite(*terms.OPTUNA)}; a search had a "
        f"budget of {breakable(tuning.amount_text)}{repeats}."
    )
    own = list(tuning.search.values())
    shared = [p for p in own[0] if all(p in others for others in own)] if own else []
    if shared:
        yield f"All methods searched {breakable('; '.join(map(str, shared)))}."
    for label, parameters in tuning.search.items():
        if rest := [str(parameter) for parameter in parameters if parameter not in shared]:
            also = " also" if shared else ""
            yield f"{breakable(label)}{also} searched {breakable('; '.join(rest))}."
    objectives = [
        f"{breakable(o.title)} ({'higher' if o.higher_is_better else 'lower'} is better; a "
        f"diverged trial counts as {o.if_diverged:,g})"
        for o in tuning.objectives
    ]
    yield f"The objective{' was' if len(objectives) == 1 else 's were'} {listed(objectives)}."
    if tuning.prunes:
        yield f"{called(tuning.pruner, tuning.pruner_options)} ended unpromising trials early."
    if len(results.trials):
        yield ended(results.trials, "trial")
    if tuning.configurations:
        many = tuning.configurations
        best = "best configuration" if many == 1 else f"best {many} configurations"
        yield (
            f"The {best} of each search {'was' if many == 1 else 'were'} trained again with "
            f"{seeds(tuning.confirm_seeds)}; the scores reported are those of these runs."
        )
    yield from map(breakable, tuning.notes)
