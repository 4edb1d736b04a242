"""Studies made by hand, small enough to work out what their reports must say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from lipbench.protocols import PROTOCOLS
from lipbench.reporting import Exhibit, Study, exhibits, published

ADAM = {
    "A": (1e-4, 0.5, 0.9, 5),
    "B": (1e-4, 0.5, 0.999, 1),
    "C": (2e-4, 0.5, 0.999, 1),
    "D": (1e-3, 0.5, 0.9, 5),
    "E": (1e-3, 0.5, 0.999, 5),
    "F": (1e-3, 0.9, 0.999, 5),
}
NAMES = {"none": "none", "SN": "spectral_norm", "WGAN-GP": "wgan_gp", "WN": "weight_norm"}


@dataclass
class Sketch:
    """A study in the making: `run` adds a run, `study` returns the value."""

    protocol: str = "digits"
    columns: Mapping[str, object] = field(default_factory=dict)  # the same for every run
    rows: list[dict[str, object]] = field(default_factory=list)
    curves: list[tuple[str, int, str, float]] = field(default_factory=list)
    samples: dict[str, Path] = field(default_factory=dict)

    def run(
        self, method: str, setting: str, value: float | str, seed: int = 0, **columns: object
    ) -> str:
        """Add a run that completed with this primary score, or had this outcome."""
        lr, beta1, beta2, n_dis = ADAM.get(setting, ADAM["C"])
        protocol = PROTOCOLS[self.protocol]
        outcome = value if isinstance(value, str) else "completed"
        run_id = f"{method}-{setting}-s{seed}"
        scores = {score: float("nan") for score in protocol.scores}
        if not isinstance(value, str):
            scores[protocol.primary] = value
        floors = {f"{score}_floor": float("nan") for score in protocol.scores}
        self.rows.append(
            {
                "run_id": run_id,
                "suite": "trial",
                "method": method,
                "methods": NAMES.get(method, method),
                "params": json.dumps({}),
                "setting": setting,
                "lr": lr,
                "beta1": beta1,
                "beta2": beta2,
                "n_dis": n_dis,
                "seed": seed,
                "dataset": "digits",
                "image_size": 16,
                "architecture": "standard_cnn",
                "width": 0.25,
                "initialisation": "normal_0.02",
                "loss": "non_saturating",
                "batch_size": 32,
                "generator_batch_size": 32,
                "precision": "float32",
                "ema_decay": None,
                "protocol": protocol.id,
                "outcome": outcome,
                "cause": None,
                "generator_updates": 2000 if outcome == "completed" else 0,
                "planned_updates": 2000,
                "collapsed": False if outcome == "completed" else pd.NA,
                "seconds": float("nan"),
                "seconds_per_update": float("nan"),
                **scores,
                **floors,
                **self.columns,
                **columns,
            }
        )
        return run_id

    def study(self, methods: Iterable[str] = (), settings: Iterable[str] = ()) -> Study:
        """Return the study, of these methods and settings or those of the runs."""
        protocol = PROTOCOLS[self.protocol]
        template = Sketch(self.protocol)
        template.run("none", "A", 1.0)
        runs = pd.DataFrame(self.rows, columns=list((self.rows or template.rows)[0]))
        return Study(
            suite="trial",
            description="A study made by hand.",
            runs=runs,
            left_out=0,
            curves=pd.DataFrame(self.curves, columns=["run_id", "update", "name", "value"]),
            samples=self.samples,
            methods=tuple(methods) or tuple(dict.fromkeys(runs["method"])),
            settings=tuple(settings) or tuple(dict.fromkeys(runs["setting"])),
            protocol=protocol,
            published=published(),
        )

    def grid_of_samples(self, run_id: str, path: Path, shade: int, size: int = 16) -> None:
        """Write a run's grid of 8 x 8 images."""
        side = 8 * size
        Image.new("RGB", (side, side), (shade, shade, shade)).save(path)
        self.samples[run_id] = path


@pytest.fixture
def sketch() -> Sketch:
    """Return an empty study of the digits."""
    return Sketch()


@pytest.fixture
def sketch_of() -> type[Sketch]:
    """Return the maker of studies, for another protocol."""
    return Sketch


@pytest.fixture
def exhibit() -> Callable[[str], Exhibit]:
    """Return what finds an installed exhibit by the name of its file."""

    def find(name: str) -> Exhibit:
        return next(e for e in exhibits() if type(e).__module__.endswith(f".{name}"))

    return find
