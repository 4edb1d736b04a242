"""Studies made by hand, small enough to work out what their reports must say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    audits: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    cost: dict[str, object] | None = None
    machines: tuple[str, ...] = ()

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
        rows = self.rows or template.rows
        columns = list(dict.fromkeys(column for row in rows for column in row))
        runs = pd.DataFrame(self.rows, columns=columns)
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
            audits=self.audits,
            cost=self.cost,
            machines=self.machines,
        )

    def audit(self, run_id: str, update: int = 2000, **facts: object) -> None:
        """Add an audit of two layers, whose kernels are at 1 and whose operators are at 2."""
        gradient = {"n": 8, "mean": 1.0, "std": 0.0, "quantiles": [q / 20 for q in range(21)]}
        logits = {"mean": 1.0, "std": 0.0, "quantiles": [1.0] * 21}
        audit = {
            "update": update,
            "seconds": 0.1,
            "layers": [layer("body.conv0"), layer("body.conv1")],
            "factors": [],
            "upper_bound": 4.0,
            "no_upper_bound": [],
            "upper_bound_kernel": 1.0,
            "lower_bounds": {"real": 0.5, "fake": 0.25, "interpolates": 0.75, "attack": 1.0},
            "lower_bound": 1.0,
            "tightness": 0.25,
            "gradient_norms": dict.fromkeys(("real", "fake", "interpolates"), gradient),
            "saturation": [
                {"name": "body.activation0", "share": 0.5, "dead": 0.1},
                {"name": "body.activation1", "share": 0.7, "dead": 0.3},
            ],
            "logits": dict.fromkeys(("train", "heldout", "fake"), logits),
            "overfitting_gap": 0.0,
            "loss_train": 1.0,
            "loss_heldout": 1.5,
            "counts": {"real": 8, "fake": 8, "heldout": 8},
        }
        self.audits.setdefault(run_id, []).append(audit | facts)

    def timed(self, method: str, seconds: Sequence[float], **case: object) -> None:
        """Add what a method's updates cost, a number a round; none's take a second."""
        if self.cost is None:
            self.cost = {
                "device": "cpu",
                "processor": "EPYC",
                "threads": 1,
                "architecture": "standard_cnn",
                "width": 0.25,
                "batch_size": 32,
                "generator_batch_size": 16,
                "precision": "float32",
                "rounds": len(seconds),
                "torch": "2.9",
                "made": "2026-01-02T03:04:05",
                "rows": [],
            }
        rows = self.cost["rows"]
        assert isinstance(rows, list)
        rows.append(
            {
                "method": method,
                "methods": NAMES.get(method, method),
                "power_iterations": None,
                "image_size": 32,
                "n_dis": 5,
                "seconds_per_100_updates": list(seconds),
                "ratio_to_none": list(seconds),
                "extra_parameters": 0,
                "peak_device_bytes": None,
                "energy_joules_per_100_updates": None,
                **case,
            }
        )

    def grid_of_samples(self, run_id: str, path: Path, shade: int, size: int = 16) -> None:
        """Write a run's grid of 8 x 8 images."""
        side = 8 * size
        Image.new("RGB", (side, side), (shade, shade, shade)).save(path)
        self.samples[run_id] = path


def layer(name: str, **facts: object) -> dict[str, object]:
    """Return the facts of a layer with a kernel at 1 and an operator at 2."""
    return {
        "name": name,
        "kind": "Conv2d",
        "shape": [2, 1, 3, 3],
        "input_shape": [1, 8, 8],
        "sigma_kernel": 1.0,
        "sigma_original": None,
        "sigma_estimate": None,
        "sigma_operator": 2.0,
        "effective_rank": 1.5,
        "stable_rank": 1.25,
        "spectrum_kernel": [1.0, 0.5],
        "spectrum_circular": [2.0, 1.0, 0.5],
        **facts,
    }


@pytest.fixture
def layer_of() -> Callable[..., dict[str, object]]:
    """Return the maker of an audited layer."""
    return layer


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
