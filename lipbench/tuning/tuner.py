"""The tuner: which run of a study comes next, and what Optuna is told of how it ended.

Run folders are the truth. Optuna's storage holds what samplers and pruners need, and says a trial
is over only when its run is. A trial that says it is running, and whose run no process has
held, was left by a process that ended: whoever finds it goes on with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from lipbench import records
from lipbench.errors import UserError
from lipbench.outcome import Outcome
from lipbench.planning.plan import PlannedRun
from lipbench.records import Damaged
from lipbench.runs.holds import Hold
from lipbench.runs.run import Task
from lipbench.runs.run_folder import RunFolder, Status
from lipbench.runs.suite_folder import SuiteFolder
from lipbench.tuning import objectives, storage
from lipbench.tuning.arm import OVER, Arm
from lipbench.tuning.storage import Broken
from lipbench.tuning.study import Study
from lipbench.urls import without_password
from lipbench.words import counted, were

_IN_A_ROW = 3  # failed trials, after which a search asks for no more; our choice
_ATTEMPTS = "attempts"  # the attribute of a trial that says how often the machine failed its run
_IDLE_SECONDS = 1.0  # between looks for what others left, where nothing else is to do

MakeTask = Callable[[PlannedRun, RunFolder], Task]


@dataclass
class _Held:
    """A run that this process works on."""

    hold: Hold
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
        alone: bool = False,
    ) -> None:
        """Open the study's parts in the storage at a location; to be called while deciding.

        What the storage lacks of the ledger's trials is put there again, and the other way round.
        A storage that is a file and is damaged is put aside for a new one, if this process is
        `alone` at work on the study. `remarks` has a line on each thing that was repaired.

        Raises UserError where the storage cannot be used, or the file is not what began the study.
        """
        self.tuning, self.folder, self._location = study.tuning, folder, location
        self._make, self._retry_failed = make, retry_failed
        self._ledger = folder.ledger()
        self._held: dict[str, _Held] = {}
        self._attempts: dict[str, int] = {}  # at runs that failed here
        self._forgiven: dict[str, int] = {}  # attempts of trials before, that are tried again
        self._elsewhere = False  # whether others work on what this one may have to go on with
        self._looked = 0.0
        self.remarks = self._ledger.mend()
        self.arms = self._opened_arms(study, alone)
        self._again = self._damaged()

    def next(self) -> Task | None:
        """Return the next task: what was left by others, a new trial, or a confirming run."""
        if self._elsewhere and time.monotonic() - self._looked < _IDLE_SECONDS:
            return None
        with self.folder.deciding(), storage.reached(self._location):
            self._elsewhere = False
            task = self._abandoned() or self._done_again() or self._new() or self._confirming()
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
            trial = held.arm.fresh(held.trial)
            if trial.state.is_finished():  # its run was damaged, and is done again as it was
                return trial.state != TrialState.PRUNED or update < max(trial.intermediate_values)
            held.arm.report(trial, {update: value})
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
            if held.arm and held.trial and held.arm.fresh(held.trial).state.is_finished():
                pass  # the storage knows how it ended
            elif status.outcome.is_result:
                if held.arm and held.trial:
                    self._settle(held.arm, held.arm.fresh(held.trial), task.run, folder, status)
            elif status.outcome.is_failure:
                self._attempts[hash_] = self._attempts.get(hash_, 0) + 1
                if held.arm and held.trial:
                    owner = self._owner(task.run, held.arm, held.trial)
                    attempts = owner.user_attrs.get(_ATTEMPTS, 0) + 1
                    facts = {"outcome": status.outcome, "cause": status.cause}
                    held.arm.note(owner, **facts, **{_ATTEMPTS: attempts})
        del self._held[hash_]
        held.hold.release()

    def close(self) -> None:
        """Give up every run that this process still holds."""
        for held in self._held.values():
            held.hold.release()
        self._held.clear()

    def remaining(self) -> int | None:
        """Return how many runs are still to do, or None where the budget is none of trials."""
        if self.tuning.budget != "trials":
            return None
        planned = self._ledger.confirmations()
        left = len(self._again)
        for arm in self.arms:
            if not self._fails(arm):
                left += max(0, int(self.tuning.amount) - len(arm.trials(*OVER)))
            if arm.key in planned:
                statuses = [self._folder(run).status() for run in planned[arm.key]]
                left += sum(not status.outcome.is_result for status in statuses)
            else:
                left += self.tuning.configurations * len(self.tuning.confirm_seeds)
        return left

    def _opened_arms(self, study: Study, alone: bool) -> list[Arm]:
        """Return the study's parts, in a storage that agrees with the ledger."""
        try:
            return self._arms(study)
        except (Broken, Damaged) as damage:
            path = storage.file_of(self._location)
            if path is None or not alone:
                raise
            identity = self.folder.path / "identity"
            kept = []
            if isinstance(damage, Damaged):
                kept.append(records.put_aside(identity).name)
            if path.exists():
                kept.append(storage.put_aside(path).name)
            fault = str(damage).splitlines()[0]
            made = f"{path} is made anew from the study's runs; kept: {', '.join(kept)}"
            self.remarks.append(f"{fault}\n{made}")
            return self._arms(study)

    def _arms(self, study: Study) -> list[Arm]:
        identity = self.folder.identity()
        with storage.reached(self._location):
            opened = storage.opened(self._location)
            arms = [
                Arm(study, searched, repeat, opened, identity)
                for repeat in self.tuning.seeds
                for searched in study.methods
            ]
            for arm in arms:
                self._agree(arm)
        return arms

    def _agree(self, arm: Arm) -> None:
        """Make the ledger and the storage have the same trials of a search.

        Raises Broken where the two contradict each other.
        """
        planned = self._planned().items()
        here = {number: run for (*key, number), run in planned if tuple(key) == arm.key}
        there = {trial.number: trial for trial in arm.trials()}
        for number, trial in there.items():
            if number in here and not arm.has(here[number], trial):
                raise self._contradiction(arm, f"differ in trial {number} of {arm.name!r}")
            if number not in here and trial.state in OVER:
                self._recall(arm, trial)
        lost = [run for number, run in sorted(here.items()) if number not in there]
        for run in lost:
            self._restore(arm, run)
        if lost:
            trials = f"{counted(len(lost), 'trial')} {were(len(lost))}"
            self.remarks.append(f"{arm.name}: {trials} missing in the storage")

    def _recall(self, arm: Arm, trial: FrozenTrial) -> None:
        """Put a trial that is over into the ledger, which has lost it."""
        run = arm.run(trial)
        if not self._folder(run).status().outcome.is_result:
            found = f"has trial {trial.number} of {arm.name!r}, and its run is gone"
            raise self._contradiction(arm, found)
        self._ledger.add_trial(run)
        self.remarks.append(f"{arm.name}: trial {trial.number} was missing in trials.jsonl")

    def _contradiction(self, arm: Arm, found: str) -> Broken:
        return Broken(
            f"the storage {without_password(self._location)} and {self.folder.path} {found}: one "
            "of them was replaced.\nBegin anew under another name: --set name=NAME"
        )

    def _restore(self, arm: Arm, run: PlannedRun) -> None:
        """Put a trial of the ledger into the storage, which has lost it, as its run stands."""
        assert run.trial is not None
        while len(arm.trials()) < run.trial.number:
            self._redraw(arm)
        self._settle_ended(arm, arm.restore(run), run)

    def _redraw(self, arm: Arm) -> None:
        """Draw a trial again that the ledger has lost too, or that was dropped.

        In the first case the run of what is drawn is there.
        """
        trial = arm.ask()
        run = arm.run(trial)
        if not self.folder.new_folder(run).path.is_dir():
            arm.drop(trial)
            return
        self._ledger.add_trial(run)
        self.remarks.append(f"{arm.name}: trial {trial.number} was missing in trials.jsonl")
        self._settle_ended(arm, trial, run)

    def _settle_ended(self, arm: Arm, trial: FrozenTrial, run: PlannedRun) -> None:
        folder = self._folder(run)
        status = folder.status()
        if status.outcome.is_result:
            self._settle(arm, trial, run, folder, status)

    def _damaged(self) -> list[tuple[PlannedRun, Arm, FrozenTrial]]:
        """Return the trials that are over in the storage, and whose runs have no result now."""
        known = self._planned()
        return [
            (run, arm, trial)
            for arm in self.arms
            for trial in arm.trials(*OVER)
            if (run := known.get((*arm.key, trial.number)))
            and not self._folder(run).status().outcome.is_result
        ]

    def _done_again(self) -> Task | None:
        """Return a run that is over, and was damaged since."""
        while self._again:
            if task := self._take(*self._again.pop()):
                return task
        return None

    def _abandoned(self) -> Task | None:
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
            arm = min(able, key=lambda arm: len(arm.trials(*OVER, TrialState.RUNNING)))
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
        last = arm.trials(*OVER, TrialState.RUNNING)[-_IN_A_ROW:]
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
        failed = self._folder(run).status().outcome.is_failure
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
        hold = self.folder.hold(hash_)
        if hold is None:
            self._elsewhere = True
            return None
        folder = self._folder(run)
        status = folder.status()
        if status.outcome.is_result:
            if arm and trial and not trial.state.is_finished():
                self._settle(arm, trial, run, folder, status)
            hold.release()
            return None
        if status.outcome.is_failure and self._tried(run, arm, trial) > self._patience(arm, hash_):
            hold.release()
            return None
        self._held[hash_] = _Held(hold, arm, trial)
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
            arm.report(trial, objectives.intermediate(wanted[0], folder.rows("scores")))
        told: list[float] = []
        if status.outcome != Outcome.PRUNED:
            updates = run.spec.budget.generator_updates
            told = objectives.values(wanted, folder, status, updates)
        seconds = objectives.seconds(status)
        facts = {
            "run_id": folder.path.name,
            "generator_updates": status.update,
            "device_hours": seconds / 3600,
        }
        arm.tell(trial, status.outcome, told, facts)


def _place(run: PlannedRun) -> tuple[str, int]:
    assert run.trial is not None
    return run.method, run.trial.repeat
