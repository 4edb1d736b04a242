"""Write what a study found as a suite's file: each method at its own best configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from lipbench.errors import UserError
from lipbench.outcome import Outcome
from lipbench.planning.plan import Plan, PlannedRun
from lipbench.planning.tuning import Tuning
from lipbench.tuning.study import Study, differences
from lipbench.yamlmarks import Document


def best(plan: Plan, runs: pd.DataFrame, trials: pd.DataFrame) -> dict[str, PlannedRun]:
    """Return the run of each method's best trial, by its label.

    That is the configuration with the best mean over the confirming runs, if all of a method's
    have ended, or else the best trial. A method without a completed trial has none.
    """
    tuning = plan.tuning
    assert tuning is not None
    found = {}
    for method in tuning.search:
        chosen = _confirmed(tuning, runs[runs["method"].eq(method)]) or _tried(
            tuning, trials[trials["method"].eq(method)]
        )
        for run in plan.runs:
            of = run.trial
            if (
                of
                and run.method == method
                and (of.repeat, of.number) == chosen
                and not of.confirms
            ):
                found[method] = run
    return found


def _confirmed(tuning: Tuning, runs: pd.DataFrame) -> tuple[int, int] | None:
    """Return the repeat and number of the trial that fresh seeds confirm as the best."""
    runs = runs[runs["confirms"].eq(True)]
    objective = tuning.objectives[0]
    ended = runs["outcome"].isin([Outcome.COMPLETED, Outcome.DIVERGED]).all()
    if runs.empty or not ended or objective.name not in runs:
        return None
    runs = runs[runs["planned"]]
    values = runs[objective.name].where(
        runs["outcome"].eq(Outcome.COMPLETED), objective.if_diverged
    )
    means = (
        pd.DataFrame(
            {
                "value": values.fillna(objective.if_diverged),
                "repeat": runs["repeat"],
                "trial": runs["trial"],
            }
        )
        .groupby(["repeat", "trial"], as_index=False)
        .mean()
    )
    row = means["value"].argmax() if objective.higher_is_better else means["value"].argmin()
    return int(means["repeat"].iloc[row]), int(means["trial"].iloc[row])


def _tried(tuning: Tuning, trials: pd.DataFrame) -> tuple[int, int] | None:
    objective = tuning.objectives[0]
    done = trials[trials["outcome"].eq(Outcome.COMPLETED) & trials[objective.name].notna()]
    if done.empty:
        return None
    values = done[objective.name]
    row = values.argmax() if objective.higher_is_better else values.argmin()
    return int(done["seed"].iloc[row]), int(done["trial"].iloc[row])


def check(made: Study, chosen: Mapping[str, PlannedRun]) -> None:
    """Raise UserError where a study's file says otherwise now than its trials were run."""
    searched_methods = {searched.label: searched for searched in made.methods}
    for label, run in chosen.items():
        assert run.trial is not None
        here = searched_methods.get(label)
        now = here.spec(run.trial.params, run.spec.seed) if here else None
        if now != run.spec:
            changes = differences(run.spec.to_json(), now.to_json()) if now else ["it is gone"]
            raise UserError(
                f"{label} was tuned otherwise than the file says now: {'; '.join(changes)}. Undo "
                "that, or give --set as it was then"
            )


def suite(document: Document, plan: Plan, chosen: Mapping[str, PlannedRun]) -> str:
    """Return the text of a suite's file that runs each method at its best configuration.

    What is not searched stays as the study's document has it. The seeds are as many as
    confirmed, and others: what chose a configuration does not report it. Raises UserError where
    no trial has completed.
    """
    tuning = plan.tuning
    assert tuning is not None
    if not chosen:
        raise UserError("no trial of this study has completed yet")
    left_out = ("tune", "loss", "settings", "methods")
    kept = {k: v for k, v in document.data.items() if k not in left_out}
    if isinstance(kept["protocol"], str):
        beside = Path(document.source).parent / kept["protocol"]
        kept["protocol"] = str(beside.resolve()) if beside.is_file() else kept["protocol"]
    used = max((*tuning.seeds, *tuning.confirm_seeds))
    content = {
        **kept,
        "name": f"{plan.name}_best",
        "description": f"Each method as the study {plan.name!r} found it best.",
        "methods": [_entry(label, run) for label, run in chosen.items()],
        "settings": ["recipe"],
        "seeds": [used + 1 + i for i in range(max(1, len(tuning.confirm_seeds)))],
    }
    missing = [label for label in tuning.search if label not in chosen]
    amount = tuning.amount_text
    lines = [
        f"Each method as the study {plan.name!r} found it best: the mean over fresh seeds chose",
        "where all runs that confirm have ended, elsewhere one run, for being best.",
        f"{tuning.sampler} had {amount} for each method and seed, by {tuning.objectives[0].name}.",
        *([f"Without a completed trial: {', '.join(missing)}."] if missing else []),
    ]
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=99)
    return "".join(f"# {line}\n" for line in lines) + text


def _entry(label: str, run: PlannedRun) -> dict[str, Any]:
    spec = run.spec
    loss = {name: value for name, value in spec.loss.params.items() if value is not None}
    return {
        **{method.name: dict(method.params) for method in spec.methods},
        "label": label,
        "setting": dict(vars(spec.setting)),
        "loss": {spec.loss.name: loss} if loss else spec.loss.name,
    }
