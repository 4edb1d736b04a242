"""The tuner: which run of a study comes next, and what Optuna is told of how it ended.

Run folders are the truth. Optuna's storage holds what samplers and pruners need, and says a trial
is over only when its run is. A trial that says it is running, and whose run no process has
claimed, was left by a process that ended: whoever finds it goes on with it.
"""

from __future__ import annotations

import copy
import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from lipbench import plan
from lipbench.claims import Claim
from lipbench.errors import UserError
from lipbench.plan import PlannedRun
from lipbench.run import Task
from lipbench.store import ENDED, RESULTS, RunFolder, Status, SuiteFolder
from lipbench.tuning import objectives, samplers, storage
from lipbench.tuning.distributions import suggest
from lipbench.tuning.space import Candidate, walk
from lipbench.tuning.study import Study, differences
from lipbench.urls import without_password

_OVER = (TrialState.COMPLETE, TrialState.PRUNED)
_IN_A_ROW = 3  # failed trials, after which a search asks for no more; our choice
_ATTEMPTS = "attempts"  # the attribute of a trial that says how often the machine failed its run
_FOLDER = "folder"  # the attribute of an Optuna study that says in which results its runs are
_PRUNED_AT = "pruned_at"  # the attribute of a trial that the pruner has ended
_DEFINITION = "lipbench"  # the attribute of an Optuna study that says what made its trials
_IDLE_SECONDS = 1.0  # between looks for what others left, where nothing else is to do

MakeTask = Callable[[PlannedRun, RunFolder], Task]


class Arm:
    """One method in one repeat of the study: an Optuna study of its own."""

    def __init__(
        self, study: Study, candidate: Candidate, repeat: int, opened: BaseStorage, folder: str
    ) -> None:
        """Open it, or make it.

        Raises UserError where it was made by another definition, or for another folder.
        """
        self.tuning, self.candidate, self.repeat = study.tuning, candidate, repeat
        self.name = f"{study.plan.name}/{candidate.label}/seed {repeat}"
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
        self._settle_definition(json.loads(json.dumps(study.definition(candidate, repeat))))

    @property
    def key(self) -> tuple[str, int]:
        """Return the method's label and the repeat."""
        return self.candidate.label, self.repeat

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Return its trials, by default all of them."""
        return self._optuna.get_trials(deepcopy=False, states=states or None)

    def fresh(self, trial: FrozenTrial) -> FrozenTrial:
        """Return a trial as the storage has it now."""
        return self._storage.get_trial(trial._trial_id)

    def ask(self) -> FrozenTrial:
        """Return a new trial with its values."""
        # Without those that were dropped: what a kill cost shifts no draw.
        self._optuna.sampler = self._sampler(len(self.trials(*_OVER, TrialState.RUNNING)))
        trial = self._optuna.ask()
        walk(self.candidate.search, lambda parameter: suggest(trial, parameter))
        return self._storage.get_trial(trial._trial_id)

    def is_whole(self, trial: FrozenTrial) -> bool:
        """Return whether a trial has all of its values; a killed process may have left some."""
        try:
            walk(self.candidate.search, lambda parameter: trial.params[parameter.name])
        except KeyError:
            return False
        return True

    def run(self, trial: FrozenTrial) -> PlannedRun:
        """Return the run that a trial is."""
        params = walk(self.candidate.search, lambda parameter: trial.params[parameter.name])
        spec = self.candidate.spec(params, self.repeat)
        of = plan.Trial(self.repeat, trial.number, params)
        return PlannedRun(spec, self.candidate.label, f"trial {trial.number}", of)

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
        over = self.trials(*_OVER)
        running = len(self.trials(TrialState.RUNNING))
        if self.tuning.budget == "trials":
            return len(over) + running
        done = sum(trial.user_attrs.get(self.tuning.budget, 0.0) for trial in over)
        if self.tuning.budget == "generator_updates":
            return done + running * self.candidate.base.budget.generator_updates
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
            one = self.candidate.base.budget.generator_updates
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
        self, trial: FrozenTrial, outcome: str, told: Sequence[float], facts: Mapping[str, Any]
    ) -> None:
        """Say how a trial's run ended: with values, or pruned without any."""
        self.note(trial, outcome=outcome, **facts)
        state = TrialState.PRUNED if outcome == "pruned" else TrialState.COMPLETE
        values = None if outcome == "pruned" else list(told)
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
            if trial.user_attrs.get("outcome") == "completed"
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
            raise UserError(
                f"the storage has another study {self.name!r}, whose runs are in other results; "
                "give this one another name: --set name=NAME"
            )

    def _settle_definition(self, definition: dict[str, Any]) -> None:
        stored = self._optuna.user_attrs.get(_DEFINITION)
        if stored is None:
            self._optuna.set_user_attr(_DEFINITION, json.dumps(definition))
            return
        changes = list(differences(json.loads(stored), definition))
        if changes:
            more = f", and {len(changes) - 3} more" if len(changes) > 3 else ""
            raise UserError(
                f"the study {self.name!r} was begun otherwise: {'; '.join(changes[:3])}{more}.\n"
                "Undo that to go on, or start anew under another name: --set name=NAME"
            )


@dataclass
class _Held:
    """A run that this process works on."""

    claim: Claim
    arm: Arm | None = None  # of a trial; a confirming run has none
    trial: FrozenTrial | None = None


class Tuner:
    """A study's source of tasks; several in different processes share one."""

    def __init__(
        self,
        study: Study,
        folder: SuiteFolder,
        location: str,
        make: MakeTask,
        retry_failed: bool = False,
    ) -> None:
        """Open the study's parts in the storage at a location; to be called while deciding.

        Raises UserError where that cannot be used, or the file is not what began the study.
        """
        self.tuning, self.folder, self._location = study.tuning, folder, location
        self._make, self._retry_failed = make, retry_failed
        self._ledger = folder.ledger()
        self._held: dict[str, _Held] = {}
        self._attempts: dict[str, int] = {}  # at runs that failed here
        self._forgiven: dict[str, int] = {}  # attempts of trials before, that are tried again
        self._elsewhere = False  # whether others work on what this one may have to go on with
        self._looked = 0.0
        with storage.reached(location):
            opened = storage.opened(location)
            self.arms = [
                Arm(study, candidate, repeat, opened, folder.identity())
                for repeat in self.tuning.seeds
                for candidate in study.candidates
            ]
            for arm in self.arms:
                self._check_folder(arm)

    def next(self) -> Task | None:
        """Return the next task: what was left by others, a new trial, or a confirming run."""
        if self._elsewhere and time.monotonic() - self._looked < _IDLE_SECONDS:
            return None
        with self.folder.deciding(), storage.reached(self._location):
            self._elsewhere = False
            task = self._left() or self._new() or self._confirming()
        self._looked = time.monotonic()
        return task

    def expects_more(self) -> bool:
        """Return whether others still work on runs that this one may have to go on with."""
        return self._elsewhere

    def goes_on(self, task: Task, facts: Mapping[str, Any]) -> bool:
        """Tell Optuna the scores of a selection; return what its pruner thinks of them."""
        held = self._held[task.run.spec.hash]
        if held.arm is None or held.trial is None:
            return True
        value = objectives.proxy(self.tuning.objectives[0], facts["scores"])
        update = facts["update"]
        with storage.reached(self._location):
            held.arm.report(held.arm.fresh(held.trial), {update: value})
            if update >= task.run.spec.budget.generator_updates:
                return True
            return not held.arm.prunes(held.trial, update)

    def finished(self, task: Task) -> None:
        """Take in how a task ended, and give its run up."""
        hash_ = task.run.spec.hash
        held = self._held[hash_]
        folder = RunFolder(task.folder)
        status = folder.status()
        with storage.reached(self._location):
            if status.outcome in RESULTS:
                if held.arm and held.trial:
                    self._settle(held.arm, held.arm.fresh(held.trial), task.run, folder, status)
            elif status.outcome in ENDED:
                self._attempts[hash_] = self._attempts.get(hash_, 0) + 1
                if held.arm and held.trial:
                    owner = self._owner(task.run, held.arm, held.trial)
                    attempts = owner.user_attrs.get(_ATTEMPTS, 0) + 1
                    facts = {"outcome": status.outcome, "cause": status.cause}
                    held.arm.note(owner, **facts, **{_ATTEMPTS: attempts})
        del self._held[hash_]
        held.claim.release()

    def close(self) -> None:
        """Give up every run that this process still holds."""
        for held in self._held.values():
            held.claim.release()
        self._held.clear()

    def left(self) -> int | None:
        """Return how many runs are still to do, or None where the budget is none of trials."""
        if self.tuning.budget != "trials":
            return None
        planned = self._ledger.confirmations()
        left = 0
        for arm in self.arms:
            if not self._fails(arm):
                left += max(0, int(self.tuning.amount) - len(arm.trials(*_OVER)))
            if arm.key in planned:
                statuses = [self._folder(run).status() for run in planned[arm.key]]
                left += sum(status.outcome not in RESULTS for status in statuses)
            else:
                left += self.tuning.configurations * len(self.tuning.confirm_seeds)
        return left

    def _check_folder(self, arm: Arm) -> None:
        """Raise UserError where the storage and the folder are not of one study."""
        here = {number for *key, number in self._planned() if tuple(key) == arm.key}
        there = {trial.number for trial in arm.trials()}
        over = {trial.number for trial in arm.trials(*_OVER)}
        if here <= there and over <= here:
            return
        raise UserError(
            f"the storage {without_password(self._location)} has {len(over)} ended trials of "
            f"{arm.name!r}, and {self.folder.path} has {len(here)} begun: one of them was "
            "deleted or replaced.\nBegin anew under another name: --set name=NAME"
        )

    def _left(self) -> Task | None:
        """Return a trial that some process left unfinished."""
        known = self._planned()
        for arm in self.arms:
            for trial in arm.trials(TrialState.RUNNING):
                run = known.get((*arm.key, trial.number))
                if run is None:
                    if not arm.is_whole(trial):
                        arm.drop(trial)
                        continue
                    run = self._add(arm, trial)
                if task := self._take(run, arm, trial):
                    return task
        return None

    def _new(self) -> Task | None:
        """Return a new trial of the method that had the fewest so far."""
        while able := [arm for arm in self.arms if self._affords(arm) and not self._waits(arm)]:
            arm = min(able, key=lambda arm: len(arm.trials(*_OVER, TrialState.RUNNING)))
            trial = arm.ask()
            if task := self._take(self._add(arm, trial), arm, trial):
                return task
        return None

    def _add(self, arm: Arm, trial: FrozenTrial) -> PlannedRun:
        """Put a trial into the ledger; return its run.

        One that its method refuses, which single values could not tell, is dropped. Raises
        UserError for that.
        """
        try:
            run = arm.run(trial)
        except UserError as error:
            arm.drop(trial)
            raise UserError(f"trial {trial.number} of {arm.name!r}: {error}") from error
        self._ledger.add_trial(run)
        return run

    def _confirming(self) -> Task | None:
        """Return a run that confirms a configuration of a method whose search is over."""
        for arm in self.arms:
            if not self._is_over(arm):
                continue
            wanted = list(arm.confirmations())
            planned = self._ledger.confirmations().get(arm.key)
            if planned is None or [r.spec.hash for r in planned] != [r.spec.hash for r in wanted]:
                self._ledger.set_confirmations(*arm.key, wanted)
            for run in wanted:
                if task := self._take(run):
                    return task
        return None

    def _affords(self, arm: Arm) -> bool:
        """Return whether a search asks for one more trial."""
        promised = 0.0
        if self.tuning.budget == "device_hours":
            statuses = [self._folder(run).status() for run in self._running(arm).values()]
            promised = sum(objectives.seconds(status) for status in statuses) / 3600
        return arm.affords(promised) and not self._fails(arm)

    def _waits(self, arm: Arm) -> bool:
        """Return whether a trial of a search waits for the run of another one, of equal values.

        Until that has ended, asking for more could give nothing but further such trials.
        """
        return any(
            self._ledger.first(run) is not run and not self._folder(run).status().ended
            for run in self._running(arm).values()
        )

    def _fails(self, arm: Arm) -> bool:
        """Return whether the machine failed a search's last trials, all of them for good."""
        last = arm.trials(*_OVER, TrialState.RUNNING)[-_IN_A_ROW:]
        running = self._running(arm)
        return len(last) == _IN_A_ROW and all(
            trial.number in running and self._failed(running[trial.number], arm, trial)
            for trial in last
        )

    def _is_over(self, arm: Arm) -> bool:
        """Return whether a search is: trials that failed for good wait for a user, not for us."""
        if self._affords(arm):
            return False
        running = self._running(arm)
        for trial in arm.trials(TrialState.RUNNING):
            run = running.get(trial.number)
            if run is None or not self._failed(run, arm, trial):
                self._elsewhere = self._elsewhere or not self._held
                return False
        return True

    def _failed(self, run: PlannedRun, arm: Arm, trial: FrozenTrial) -> bool:
        """Return whether a trial's run failed as often as it may."""
        outcome = self._folder(run).status().outcome
        failed = outcome in ENDED and outcome not in RESULTS
        return failed and self._tried(run, arm, trial) > self.tuning.retries

    def _tried(self, run: PlannedRun, arm: Arm | None, trial: FrozenTrial | None) -> int:
        """Return how often a run has failed, since somebody last asked to retry it."""
        if arm is None or trial is None:
            return self._attempts.get(run.spec.hash, 0)
        attempts = int(self._owner(run, arm, trial).user_attrs.get(_ATTEMPTS, 0))
        if self._retry_failed:
            return attempts - self._forgiven.setdefault(run.spec.hash, attempts)
        return attempts

    def _owner(self, run: PlannedRun, arm: Arm, trial: FrozenTrial) -> FrozenTrial:
        """Return the first trial of a search with this run, where its attempts are counted."""
        first = self._ledger.first(run)
        if first.trial is None or _place(first) != arm.key:
            return arm.fresh(trial)
        return arm.trials()[first.trial.number]

    def _running(self, arm: Arm) -> dict[int, PlannedRun]:
        """Return the runs of a search's running trials, by number."""
        known = self._planned()
        numbers = [trial.number for trial in arm.trials(TrialState.RUNNING)]
        return {n: known[*arm.key, n] for n in numbers if (*arm.key, n) in known}

    def _planned(self) -> dict[tuple[str, int, int], PlannedRun]:
        """Return every trial's run by method, repeat and number."""
        return {
            (*_place(run), run.trial.number): run for run in self._ledger.trials() if run.trial
        }

    def _folder(self, run: PlannedRun) -> RunFolder:
        """Return a run's folder, which it shares with an earlier trial of the same values."""
        return self.folder.new_folder(self._ledger.first(run))

    def _take(
        self, run: PlannedRun, arm: Arm | None = None, trial: FrozenTrial | None = None
    ) -> Task | None:
        """Return a run as a task, if it is not done and nobody is at it; note one that is done."""
        hash_ = run.spec.hash
        if hash_ in self._held:
            return None
        claim = self.folder.claim(hash_)
        if claim is None:
            self._elsewhere = True
            return None
        folder = self._folder(run)
        status = folder.status()
        if status.outcome in RESULTS:
            if arm and trial:
                self._settle(arm, trial, run, folder, status)
            claim.release()
            return None
        if status.outcome in ENDED and self._tried(run, arm, trial) > self._patience(arm, hash_):
            claim.release()
            return None
        self._held[hash_] = _Held(claim, arm, trial)
        folder.check_checkpoint()
        task = self._make(run, folder)
        return replace(task, consults=arm is not None and self.tuning.prunes)

    def _patience(self, arm: Arm | None, hash_: str) -> int:
        """Return how many failures a run may have; one that confirms, only in this process."""
        if arm is None and hash_ not in self._attempts and not self._retry_failed:
            return -1
        return self.tuning.retries

    def _settle(
        self, arm: Arm, trial: FrozenTrial, run: PlannedRun, folder: RunFolder, status: Status
    ) -> None:
        """Tell Optuna of a run that ended with a result."""
        wanted = self.tuning.objectives
        if len(wanted) == 1:
            arm.report(trial, objectives.intermediate(wanted[0], folder))
        told: list[float] = []
        if status.outcome != "pruned":
            updates = run.spec.budget.generator_updates
            told = objectives.values(wanted, folder, status, updates)
        seconds = objectives.seconds(status)
        facts = {
            "run_id": folder.path.name,
            "generator_updates": status.update,
            "device_hours": seconds / 3600,
        }
        arm.tell(trial, status.outcome, told, facts)


def _dominates(other: Sequence[float], losses: Sequence[float]) -> bool:
    """Return whether other losses are nowhere greater, and somewhere less."""
    pairs = list(zip(other, losses, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def _place(run: PlannedRun) -> tuple[str, int]:
    assert run.trial is not None
    return run.method, run.trial.repeat
