"""One search of a study: a method in one repeat, an Optuna study of its own."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from lipbench.errors import UserError
from lipbench.outcome import Outcome
from lipbench.planning import plan
from lipbench.planning.plan import PlannedRun
from lipbench.tuning import samplers
from lipbench.tuning.distributions import suggest
from lipbench.tuning.space import SearchedMethod, walk
from lipbench.tuning.storage import Broken
from lipbench.tuning.study import Study, differences, upgraded

OVER = (TrialState.COMPLETE, TrialState.PRUNED)
_PRUNED_AT = "pruned_at"  # the attribute of a trial that the pruner has ended
# Attributes of an Optuna study: in which results its runs are, and what made its trials.
_FOLDER = "folder"
_DEFINITION = "lipbench"


class Arm:
    """One method in one repeat of a study."""

    def __init__(
        self, study: Study, searched: SearchedMethod, repeat: int, opened: BaseStorage, folder: str
    ) -> None:
        """Open it, or make it.

        Raises UserError where it was made by another definition, or for another folder.
        """
        self.tuning, self.searched, self.repeat = study.tuning, searched, repeat
        self.name = f"{study.plan.name}/{searched.label}/seed {repeat}"
        self._storage = opened
        self._optuna = optuna.create_study(
            storage=opened,
            study_name=self.name,
            sampler=self._sampler(0),
            pruner=samplers.pruner(self.tuning.pruner, self.tuning.pruner_options),
            directions=[objective.direction for objective in self.tuning.objectives],
            load_if_exists=True,
        )
        with warnings.catch_warnings():  # experimental in Optuna; what optuna-dashboard shows
            warnings.simplefilter("ignore")
            self._optuna.set_metric_names([objective.name for objective in self.tuning.objectives])
        self._settle_folder(folder)
        self._settle_definition(json.loads(json.dumps(study.definition(searched, repeat))))

    @property
    def key(self) -> tuple[str, int]:
        """Return the method's label and the repeat."""
        return self.searched.label, self.repeat

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Return its trials, by default all of them."""
        return self._optuna.get_trials(deepcopy=False, states=states or None)

    def fresh(self, trial: FrozenTrial) -> FrozenTrial:
        """Return a trial as the storage has it now."""
        return self._storage.get_trial(trial._trial_id)

    def ask(self) -> FrozenTrial:
        """Return a new trial with its values."""
        # Without those that were dropped: what a kill cost shifts no draw.
        self._optuna.sampler = self._sampler(len(self.trials(*OVER, TrialState.RUNNING)))
        trial = self._optuna.ask()
        _ = trial.relative_params  # also where all values are given: some samplers count draws
        walk(self.searched.search, lambda parameter: suggest(trial, parameter))
        return self._storage.get_trial(trial._trial_id)

    def restore(self, run: PlannedRun) -> FrozenTrial:
        """Return a trial that the storage has lost, drawn again: with the values it had then.

        To be called in the order of the trials, each when those before it are as they were: what
        a sampler keeps beside its draws is then as it was, too.
        """
        assert run.trial is not None
        self._optuna.enqueue_trial(run.trial.params)
        return self.ask()

    def has(self, run: PlannedRun, trial: FrozenTrial) -> bool:
        """Return whether a trial in the storage is the one of this run."""
        assert run.trial is not None
        if trial.state == TrialState.FAIL or not self.is_whole(trial):
            return False
        params = walk(self.searched.search, lambda parameter: trial.params[parameter.name])
        return bool(json.loads(json.dumps(params)) == json.loads(json.dumps(run.trial.params)))

    def is_whole(self, trial: FrozenTrial) -> bool:
        """Return whether a trial has all of its values; a killed process may have left some."""
        try:
            walk(self.searched.search, lambda parameter: trial.params[parameter.name])
        except KeyError:
            return False
        return True

    def run(self, trial: FrozenTrial) -> PlannedRun:
        """Return the run that a trial is."""
        params = walk(self.searched.search, lambda parameter: trial.params[parameter.name])
        spec = self.searched.spec(params, self.repeat)
        of = plan.Trial(self.repeat, trial.number, params)
        return PlannedRun(spec, self.searched.label, f"trial {trial.number}", of)

    def confirmations(self) -> Iterator[PlannedRun]:
        """Yield the runs that confirm the best configurations, with fresh seeds."""
        of = f" (seed {self.repeat})" if len(self.tuning.seeds) > 1 else ""
        for rank, trial in enumerate(self.best(), start=1):
            tried = self.run(trial)
            assert tried.trial is not None
            for seed in self.tuning.confirm_seeds:
                spec = replace(tried.spec, seed=seed)
                place = replace(tried.trial, confirms=True)
                yield PlannedRun(spec, tried.method, f"tuned #{rank}{of}", place)

    def spent(self) -> float:
        """Return what of the budget is spent, and promised to trials that are running."""
        over = self.trials(*OVER)
        running = len(self.trials(TrialState.RUNNING))
        if self.tuning.budget == "trials":
            return len(over) + running
        done = sum(trial.user_attrs.get(self.tuning.budget, 0.0) for trial in over)
        if self.tuning.budget == "generator_updates":
            return done + running * self.searched.base.budget.generator_updates
        return done

    def affords(self, promised: float = 0.0) -> bool:
        """Return whether the budget has room for one more trial.

        The last one ends within a budget of trials or updates. One of hours is over as soon as it
        is spent, so that its last trials go beyond; `promised` is what those under way had so far.
        """
        if self.tuning.budget == "device_hours":
            return self.spent() + promised < self.tuning.amount
        one = 1.0
        if self.tuning.budget == "generator_updates":
            one = self.searched.base.budget.generator_updates
        return self.spent() + one <= self.tuning.amount

    def report(self, trial: FrozenTrial, values: Mapping[int, float]) -> None:
        """Tell intermediate values by update, those that are new."""
        # By the storage and the pruner: an optuna.Trial of one that is there would draw again.
        for update, value in values.items():
            if update not in trial.intermediate_values:
                self._storage.set_trial_intermediate_value(trial._trial_id, update, value)

    def prunes(self, trial: FrozenTrial, update: int) -> bool:
        """Return whether the pruner ends a trial at an update whose value it has been told.

        What it said is kept: asked again after a kill, it may say otherwise.
        """
        if self.fresh(trial).user_attrs.get(_PRUNED_AT) == update:
            return True
        judged = copy.copy(self.fresh(trial))  # as it was then: later ones are from before a kill
        known = judged.intermediate_values
        judged.intermediate_values = {step: known[step] for step in known if step <= update}
        prunes = self._optuna.pruner.prune(self._optuna, judged)
        if prunes:
            self.note(trial, **{_PRUNED_AT: update})
        return prunes

    def tell(
        self, trial: FrozenTrial, outcome: Outcome, told: Sequence[float], facts: Mapping[str, Any]
    ) -> None:
        """Say how a trial's run ended: with values, or pruned without any."""
        self.note(trial, outcome=outcome, **facts)
        state = TrialState.PRUNED if outcome == Outcome.PRUNED else TrialState.COMPLETE
        values = None if outcome == Outcome.PRUNED else list(told)
        self._optuna.sampler = self._sampler(trial.number)
        self._optuna.tell(trial.number, values, state, skip_if_finished=True)

    def drop(self, trial: FrozenTrial) -> None:
        """Give up a trial that never had all of its values: it counts for nothing."""
        self._optuna.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)

    def note(self, trial: FrozenTrial, **facts: Any) -> None:
        """Attach facts to a trial, for whoever looks at the storage."""
        for key, value in facts.items():
            self._storage.set_trial_user_attr(trial._trial_id, key, value)

    def best(self) -> list[FrozenTrial]:
        """Return the trials to confirm, the best one first; none whose training diverged."""
        complete = [
            trial
            for trial in self.trials(TrialState.COMPLETE)
            if trial.user_attrs.get("outcome") == Outcome.COMPLETED
        ]
        signs = [-1 if objective.higher_is_better else 1 for objective in self.tuning.objectives]
        losses = {
            trial.number: [sign * value for sign, value in zip(signs, trial.values, strict=True)]
            for trial in complete
        }
        front = [
            trial
            for trial in complete
            if not any(_dominates(other, losses[trial.number]) for other in losses.values())
        ]
        kept = complete if len(signs) == 1 else front
        ranked = sorted(kept, key=lambda trial: losses[trial.number])
        different: dict[str, FrozenTrial] = {}
        for trial in ranked:
            different.setdefault(json.dumps(trial.params, sort_keys=True), trial)
        return list(different.values())[: self.tuning.configurations]

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        tuning = self.tuning
        return samplers.sampler(
            tuning.sampler, tuning.sampler_options, self.name, self.repeat, number
        )

    def _settle_folder(self, folder: str) -> None:
        stored = self._optuna.user_attrs.get(_FOLDER)
        if stored is None:
            self._optuna.set_user_attr(_FOLDER, folder)
        elif stored != folder:
            raise Broken(
                f"the storage has another study {self.name!r}, whose runs are in other results; "
                "give this one another name: --set name=NAME"
            )

    def _settle_definition(self, definition: dict[str, Any]) -> None:
        stored = self._optuna.user_attrs.get(_DEFINITION)
        if stored is None:
            self._optuna.set_user_attr(_DEFINITION, json.dumps(definition))
            return
        changes = list(differences(upgraded(json.loads(stored)), definition))
        if changes:
            more = f", and {len(changes) - 3} more" if len(changes) > 3 else ""
            raise UserError(
                f"the study {self.name!r} was begun otherwise: {'; '.join(changes[:3])}{more}.\n"
                "Undo that to go on, or start anew under another name: --set name=NAME"
            )


def _dominates(other: Sequence[float], losses: Sequence[float]) -> bool:
    """Return whether other losses are nowhere greater, and somewhere less."""
    pairs = list(zip(other, losses, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
