"""Measure what a study costs besides its runs: Optuna, the ledger, claims, run folders.

    python benchmarks/tuning.py [TRIALS] [STORAGE...]

Each study draws 4 parameters by TPE for TRIALS trials (1,000) in all, of one method and of four,
with a run that takes no time: its folder is written as a completed run's, with a score that
depends on lr alone. Prints the seconds in all, and of a trial at the beginning and at the end.
STORAGE is journal, sqlite or a URL; journal and sqlite by default.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean

from lipbench import paths
from lipbench.outcome import Outcome
from lipbench.planning import suite
from lipbench.plugins import Plugins
from lipbench.runs import sweep
from lipbench.runs.run import Task
from lipbench.runs.run_folder import RunFolder, Status
from lipbench.runs.suite_folder import SuiteFolder
from lipbench.tuning.storage import locate
from lipbench.tuning.study import Study, study
from lipbench.tuning.tuner import Tuner

STUDY = """
name: trivial
dataset: digits
architecture: {{width: 0.25}}
methods: [{methods}]
budget: {{generator_updates: 10, batch_size: 8, generator_batch_size: 8}}
protocol: digits
intervals: {{score: 5}}
tune:
  search: kurach2019
  budget: {{trials: {trials}}}
  pruner: MedianPruner
  confirm: {{configurations: 0}}
"""
METHODS = ("none", "weight_norm", "spectral_norm", "layer_norm")


def pretend(task: Task) -> None:
    """Write a run's folder as if it had been trained."""
    spec, folder = task.run.spec, RunFolder(task.folder)
    folder.path.mkdir(parents=True)
    score = {"fd_digits": 100 + abs(math.log10(spec.setting.lr) + 3.7)}
    updates = spec.budget.generator_updates
    folder.append("scores", {"checkpoint": "last", "update": updates, "scores": score})
    folder.set_status(Status(Outcome.COMPLETED, update=updates, cost={"seconds_training": 0.0}))


def resolved(methods: tuple[str, ...], trials: int, folder: Path) -> Study:
    """Return a study of these methods."""
    path = folder / "trivial.yaml"
    path.write_text(STUDY.format(methods=", ".join(methods), trials=trials // len(methods)))
    read, document = suite.read(path, [])
    return study(read, document, Plugins(), paths.cache_root())


def measure(methods: tuple[str, ...], trials: int, storage: str) -> None:
    """Run one study to its end, and print how long that took."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = SuiteFolder(Path(temporary) / "trivial")
        made = resolved(methods, trials, Path(temporary))
        location = locate(storage, folder.path)
        seconds: list[float] = []
        with folder.shared():
            with folder.deciding():
                tuner = Tuner(
                    made,
                    folder,
                    location,
                    lambda run, at: sweep.task(made.plan, run, at, {}, Path(), None),
                )
            start = time.perf_counter()
            last = start
            while task := tuner.next():
                pretend(task)
                tuner.finished(task)
                now = time.perf_counter()
                seconds.append(now - last)
                last = now
    print(
        f"{storage}, {len(methods)} methods: {len(seconds)} trials in {last - start:.1f} s; "
        f"{1000 * mean(seconds[:50]):.0f} ms of each at first, "
        f"{1000 * mean(seconds[-50:]):.0f} ms at the end",
        flush=True,
    )


def main() -> None:
    arguments = sys.argv[1:]
    trials = int(arguments.pop(0)) if arguments and arguments[0].isdigit() else 1000
    for storage in arguments or ["journal", "sqlite"]:
        for methods in (METHODS, METHODS[:1]):
            measure(methods, trials, storage)


if __name__ == "__main__":
    main()
