"""Measure how long `lipbench report` takes, and how much memory, for very many runs.

    python benchmarks/report.py [--runs 10000] [--audits 1] [--keep FOLDER]

One run is trained (the digits, 100 updates, a quarter of the width); every other folder is a copy
of its files with other numbers, so nothing of such a report is a result. Prints the seconds of a
report, the peak memory of its processes together, and the seconds of the same command again.
Nothing is sent to MLflow.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lipbench import paths
from lipbench.planning import resolve, suite
from lipbench.plugins import Plugins
from lipbench.runs.run_folder import RunFolder, Status
from lipbench.runs.suite_folder import SuiteFolder

METHODS = (
    "none", "spectral_norm", "wgan_gp", "weight_clipping", "weight_norm", "batch_norm",
    "layer_norm", "orthonormal", "gan_gp", "r1",
)  # fmt: skip
SETTINGS = ("A", "B", "C", "D", "E")
SUITE = """
name: {name}
dataset: digits
architecture: {{width: 0.25}}
methods: [{methods}]
settings: [{settings}]
seeds: {seeds}
budget: {{generator_updates: 100, batch_size: 32, generator_batch_size: 32}}
protocol: digits
intervals: {{metrics: 10, score: 25, audit: {audit}}}
"""
Rows = dict[str, list[dict[str, Any]]]


def command(*arguments: str | Path) -> float:
    """Run lipbench; return its seconds."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "lipbench", *map(str, arguments)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - start


def written(folder: Path, name: str, methods: Sequence[str], seeds: int, audits: int) -> Path:
    """Write a suite of these methods at so many seeds, each run with so many audits."""
    settings = SETTINGS if len(methods) > 1 else SETTINGS[:1]
    path = folder / f"{name}.yaml"
    path.write_text(
        SUITE.format(
            name=name, methods=", ".join(methods), settings=", ".join(settings),
            seeds=list(range(seeds)), audit=100 // max(1, audits - 1),
        )
    )  # fmt: skip
    return path


def simulate(folder: Path, runs: int, audits: int) -> SuiteFolder:
    """Make a results folder: copies of one trained run, with other numbers."""
    one = written(folder, "one", ["spectral_norm"], 1, audits)
    command("run", one, "--runs-dir", folder, "--workers", "1")
    (trained,) = SuiteFolder(folder / "one").folders().values()
    rows: Rows = {name: trained.rows(name) for name in ("metrics", "scores", "audits")}
    rows["audits"] = rows["audits"][-audits:] if audits else []
    seeds = runs // (len(METHODS) * len(SETTINGS))
    read, document = suite.read(written(folder, "simulated", METHODS, seeds, audits), [])
    plan = resolve.plan(read, document, Plugins(), paths.cache_root())
    made = SuiteFolder(folder / plan.name)
    made.save_plan(plan, f"sqlite:///{folder / 'mlflow.db'}")
    for run in plan.unique:
        own = made.new_folder(run)
        own.open(run.spec, trained.sessions()[-1])
        for grid in trained.samples():
            os.link(grid, own.path / "samples" / grid.name)
        fill(own, rows, trained.status(), f"{run.method}, {run.setting}", run.spec.seed)
    return made


def fill(own: RunFolder, rows: Rows, status: Status, place: str, seed: int) -> None:
    """Write a run's rows: scores that depend on its method and setting, and vary with the seed."""
    level = np.random.default_rng(zlib.crc32(place.encode())).uniform(0, 2)
    factor = float(np.exp(level + 0.1 * np.random.default_rng(seed).normal()))
    for name, of_name in rows.items():
        lines = []
        for row in of_name:
            scores = {k: v * factor for k, v in row.get("scores", {}).items()}
            told = {"scores": scores, "collapsed": False} if scores else {}
            lines.append(json.dumps(row | told))
        if lines:
            (own.path / f"{name}.jsonl").write_text("\n".join([*lines, ""]))
    own.set_status(status)


class Memory(threading.Thread):
    """Watch how much memory the children of this process use together, shared pages once."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._stop_now = threading.Event()

    def run(self) -> None:
        """Look every few seconds: each look walks through all pages."""
        while not self._stop_now.wait(4.0):
            self.peak = max(self.peak, sum(map(_bytes, _descendants(str(os.getpid())))))

    def stop(self) -> float:
        """Return the peak in GiB."""
        self._stop_now.set()
        self.join()
        return self.peak / 2**30


def _descendants(process: str) -> list[str]:
    found = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        found += [each for child in children for each in (child, *_descendants(child))]
    return found


def _bytes(process: str) -> int:
    """Return a process's proportional set size, which counts a shared page once in all."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--runs", type=int, default=10_000, help="a multiple of 50")
    parser.add_argument("--audits", type=int, default=1, help="of each run")
    parser.add_argument("--keep", type=Path, help="a folder for the results, which then stay")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = (asked.keep or Path(name)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        kept = SuiteFolder(folder / "simulated")
        made = kept if kept.path.exists() else simulate(folder, asked.runs, asked.audits)
        memory = Memory()
        memory.start()
        first = command("report", made.path, "--out", folder / "report")
        peak = memory.stop()
        again = command("report", made.path, "--out", folder / "report")
        page = (folder / "report" / "index.html").stat().st_size
        print(
            f"{len(made.folders()):,} runs, {asked.audits} audits each: report {first:.1f} s, "
            f"{peak:.2f} GiB; again {again:.1f} s; the page has {page / 1e6:.0f} MB"
        )


if __name__ == "__main__":
    main()
