"""Measure what lipbench costs besides training: start-up, planning, a run's fixed part, workers.

    python benchmarks/overheads.py

Prints seconds of `lipbench --help`, of planning 10,000 runs, of a run of one update in a worker
that has done one before, and the throughput of two workers of one thread against one process of
two threads on small nets, interleaved.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from lipbench.engines.local import CPU_ENVIRONMENT

SUITE = """
dataset: digits
architecture: {{width: 0.25}}
methods: [spectral_norm]
settings: [C]
seeds: {seeds}
budget: {{generator_updates: {updates}, batch_size: 32, generator_batch_size: 32}}
protocol: digits
"""

TRAIN = """
import sys, time, torch
from pathlib import Path
torch.set_num_threads(int(sys.argv[1]))
sys.path.insert(0, sys.argv[2])
from lipbench import paths
from lipbench.dataset import load
from lipbench.datasets.digits import Digits
from lipbench.planning import parts
from lipbench.plugins import Plugins
from lipbench.training import loop as training
from train_step import spec
import dataclasses
run = spec(float(sys.argv[3]), "float32")
cache = paths.cache_root()
split = load(Digits(), Digits().inspect(cache), cache, torch.device("cpu")).train
run = dataclasses.replace(run, dataset=dataclasses.replace(run.dataset, image_size=16, channels=1))
made = parts.of(run, Plugins())
updates = training.train(run, split, training.build(run, made, split))
for _ in range(5):
    next(updates)
print("ready", flush=True)
sys.stdin.readline()
start = time.perf_counter()
for _ in range(120):
    next(updates)
print(120 / (time.perf_counter() - start), flush=True)
"""


def lipbench(*arguments: str) -> tuple[float, str]:
    """Run a command; return its seconds and what it printed."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "lipbench", *arguments], capture_output=True, text=True, check=True
    )
    return time.perf_counter() - start, done.stdout


def throughput(width: float, processes: int, threads: int, environment: dict[str, str]) -> float:
    """Return updates a second of so many processes together."""
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", TRAIN, str(threads), here, str(width)]
    pipe = subprocess.PIPE
    running = [
        subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, env={**os.environ, **environment}
        )
        for _ in range(processes)
    ]
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return sum(float(process.communicate()[0]) for process in running)


def fixed_cost(folder: Path) -> float:
    """Return the seconds of a one-update run in a worker after its first, from status files."""
    suite = folder / "fixed.yaml"
    suite.write_text(SUITE.format(seeds=list(range(6)), updates=1))
    lipbench("run", str(suite), "--workers", "1", "--runs-dir", str(folder / "runs"))
    ended = sorted(p.stat().st_mtime for p in folder.glob("runs/fixed/runs/*/status.json"))
    return median(b - a for a, b in itertools.pairwise(ended))


def main() -> None:
    """Print the four measurements."""
    helps = [lipbench("--help")[0] for _ in range(5)]
    print(f"lipbench --help: {median(helps):.2f} s")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        suite = folder / "large.yaml"
        suite.write_text(SUITE.format(seeds=list(range(10_000)), updates=1000))
        plans = [lipbench("plan", str(suite))[0] for _ in range(3)]
        print(f"lipbench plan of 10,000 runs: {median(plans):.2f} s")
        print(f"a run after a worker's first, of one update: {fixed_cost(folder):.2f} s")
    for width in (0.125, 0.25):
        pairs = [
            (throughput(width, 2, 1, CPU_ENVIRONMENT), throughput(width, 1, 2, {}))
            for _ in range(5)
        ]
        ratios = sorted(two / one for two, one in pairs)
        print(
            f"width {width:g}: two workers of one thread {median(t for t, _ in pairs):.1f} "
            f"updates/s, one process of two threads {median(o for _, o in pairs):.1f}; "
            f"ratio {median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


if __name__ == "__main__":
    main()
