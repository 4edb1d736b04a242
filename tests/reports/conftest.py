"""Studies made by hand, small enough to work out what their reports must say."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from lipbench.planning.tuning import Objective, Parameter, Tuning
from lipbench.protocols import PROTOCOLS
from lipbench.reporting import Exhibit, exhibits
from lipbench.results import Results, published

ADAM = {
    "A": (1e-4, 0.5, 0.9, 5),
    "B": (1e-4, 0.5, 0.999, 1),
    "C": (2e-4, 0.5, 0.999, 1),
    "D": (1e-3, 0.5, 0.9, 5),
    "E": (1e-3, 0.5, 0.999, 5),
    "F": (1e-3, 0.9, 0.999, 5),
}
NAMES = {"none": "none", "SN": "spectral_norm", "WGAN-GP": "wgan_gp", "WN": "weight_norm"}


FD = Objective("fd_digits", "FD (digits)", higher_is_better=False, if_diverged=1200.0)
SPEED = Objective("seconds_per_update", "s/update", False, if_diverged=1.0, decimals=3)
SHARED = (
    Parameter("lr", "float", 1e-5, 1e-2, log=True),
    Parameter("beta1", "float", 0.0, 0.9),
    Parameter("n_dis", "int", 1, 5),
    Parameter("loss", "categorical", choices=("hinge", "non_saturating")),
)
OWN = {
    "SN": (Parameter("spectral_norm.power_iterations", "int", 1, 4),),
    "WGAN-GP": (
        Parameter("wgan_gp.weight", "float", 0.1, 100, log=True),
        Parameter("wgan_gp.one_sided", "categorical", choices=(False, True)),
    ),
    "WN": (
        Parameter("weight_norm.scale", "categorical", choices=(None, 1.0, 2.0)),
        Parameter("weight_norm.margin", "float", 0, 1, when={"loss": ("hinge",)}),
    ),
}


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
    tuning: Tuning | None = None
    trials: list[dict[str, object]] = field(default_factory=list)

    def search(
        self,
        parameters: Mapping[str, Iterable[Parameter]],
        objectives: Iterable[Objective] = (),
        **changes: object,
    ) -> None:
        """Make it a study that searched these parameters of each method, by default for FD."""
        fields = {
            "search": {method: tuple(search) for method, search in parameters.items()},
            "objectives": tuple(objectives) or (FD,),
            "sampler": "RandomSampler",
            "pruner": "NopPruner",
            "budget": "trials",
            "amount": 25,
            "seeds": (0,),
            "configurations": 1,
            "confirm_seeds": (100, 101, 102),
        }
        self.tuning = Tuning(**{**fields, **changes})

    def trial(
        self,
        method: str,
        value: float | str | Mapping[str, float],
        seed: int = 0,
        params: Mapping[str, object] | None = None,
        **columns: object,
    ) -> None:
        """Add the next trial: one that completed with this value, or had this outcome."""
        assert self.tuning is not None
        objectives = self.tuning.objectives
        number = sum(t["method"] == method and t["seed"] == seed for t in self.trials)
        outcome = value if isinstance(value, str) else "completed"
        values = dict.fromkeys([o.name for o in objectives], float("nan"))
        if outcome == "diverged":
            values = {o.name: o.if_diverged for o in objectives}
        elif isinstance(value, Mapping):
            values |= value
        elif not isinstance(value, str):
            values[objectives[0].name] = value
        self.trials.append(
            {
                "run_id": f"{method}-trial_{number}-s{seed}",
                "method": method,
                "seed": seed,
                "trial": number,
                "outcome": outcome,
                "cause": None,
                **values,
                "intermediate": float("nan"),
                "generator_updates": 2000 if outcome == "completed" else 500,
                "seconds": 36.0 if outcome == "completed" else 9.0,
                "started": 0.0,
                "ended": 36.0,
                **{f"params_{name}": given for name, given in (params or {}).items()},
                **columns,
            }
        )

    def confirm(
        self,
        method: str,
        trial: int,
        values: Iterable[float | str],
        repeat: int = 0,
        rank: int = 1,
    ) -> None:
        """Add the runs, with seeds from 100, of a configuration that the search found."""
        for seed, value in enumerate(values, 100):
            place = {"repeat": repeat, "trial": trial, "seconds_per_update": 0.05}
            name = f"tuned #{rank}"
            if self.tuning and len(self.tuning.seeds) > 1:
                name += f" (seed {repeat})"
            self.run(method, name, value, seed, **place)

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
                "latent_dim": 128,
                "optimizer": "adam",
                "lr_g": columns.get("lr", lr),
                "alpha": None,
                "momentum": None,
                "initialisation": "normal_0.02",
                "loss": "non_saturating",
                "batch_size": 32,
                "generator_batch_size": 32,
                "augmentation": "none",
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

    def results(self, methods: Iterable[str] = (), settings: Iterable[str] = ()) -> Results:
        """Return the study, of these methods and settings or those of the runs."""
        protocol = PROTOCOLS[self.protocol]
        template = Sketch(self.protocol)
        template.run("none", "A", 1.0)
        rows = self.rows or template.rows
        columns = list(dict.fromkeys(column for row in rows for column in row))
        columns += ["repeat", "trial"] if self.tuning and not self.rows else []
        known = [*self.rows, *self.trials]
        runs = pd.DataFrame(self.rows, columns=columns)
        return Results(
            suite="trial",
            description="A study made by hand.",
            runs=runs,
            left_out=0,
            curves=pd.DataFrame(self.curves, columns=["run_id", "update", "name", "value"]),
            samples=self.samples,
            methods=tuple(methods) or tuple(dict.fromkeys(row["method"] for row in known)),
            settings=tuple(settings) or tuple(dict.fromkeys(runs["setting"])),
            protocol=protocol,
            published=published(),
            audits=self.audits,
            cost=self.cost,
            machines=self.machines,
            tuning=self.tuning,
            trials=pd.DataFrame(self.trials),
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


def realistic(
    sketch: Sketch,
    methods: Iterable[str] = ("none", "SN", "WGAN-GP", "WN"),
    trials: int = 25,
    seeds: Sequence[int] = (0, 1),
    confirmed: int = 3,
    objectives: Iterable[Objective] = (),
    **changes: object,
) -> None:
    """Fill a sketch with a study: some trials were pruned, diverged or failed by the machine."""
    draws = random.Random(0)
    search = {method: (*SHARED, *OWN.get(method, ())) for method in methods}
    usual = {"pruner": "MedianPruner", "configurations": 2, "seeds": tuple(seeds)}
    sketch.search(search, objectives, **{**usual, "amount": trials, **changes})
    for i, method in enumerate(search):
        for seed in seeds:
            for _ in range(trials):
                given = drawn(search[method], draws)
                badness = abs(math.log10(given["lr"]) + 3.5 - 0.2 * i) + given["beta1"]
                value = 6 * math.exp(0.9 * badness) + i + draws.expovariate(0.5)
                lost = draws.random() < 0.02
                diverged = draws.random() < 0.5 * (given["lr"] > 3e-3) * (method != "SN")
                pruned = value > 25 and draws.random() < 0.6
                outcome = "failed" * lost or "diverged" * diverged or "pruned" * pruned
                updates = 2000 if not outcome else draws.randrange(100, 1500, 100)
                seconds = updates * 0.05 * (1 + 0.3 * i) * (1 + 0.2 * given["n_dis"])
                cost = {"seconds": seconds, "generator_updates": updates}
                middle = 1.3 * value if pruned else float("nan")
                scored = {"fd_digits": value, "seconds_per_update": seconds / updates}
                known = {o.name for o in sketch.tuning.objectives}
                scored = {name: number for name, number in scored.items() if name in known}
                sketch.trial(method, outcome or scored, seed, given, intermediate=middle, **cost)
    for method in search:
        for seed in seeds if confirmed else ():
            own = [t for t in sketch.trials if (t["method"], t["seed"]) == (method, seed)]
            done = [t for t in own if t["outcome"] == "completed"]
            for rank, best in enumerate(sorted(done, key=lambda t: t["fd_digits"])[:2], 1):
                again = [best["fd_digits"] + abs(draws.gauss(1, 0.7)) for _ in range(confirmed)]
                sketch.confirm(method, best["trial"], again, seed, rank)


def drawn(search: Iterable[Parameter], draws: random.Random) -> dict[str, object]:
    """Return a random configuration."""
    found: dict[str, object] = {}
    for parameter in search:
        if any(found.get(name) not in values for name, values in parameter.when.items()):
            continue
        if parameter.kind == "categorical":
            found[parameter.name] = draws.choice(parameter.choices)
        elif parameter.kind == "int":
            found[parameter.name] = draws.randint(int(parameter.low), int(parameter.high))
        elif parameter.log:
            ends = math.log(parameter.low), math.log(parameter.high)
            found[parameter.name] = math.exp(draws.uniform(*ends))
        else:
            found[parameter.name] = draws.uniform(parameter.low, parameter.high)
    return found


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


@pytest.fixture
def tuned() -> Callable[..., Results]:
    """Return the maker of a study that looks like a real one."""

    def make(**changes: object) -> Results:
        sketch = Sketch()
        realistic(sketch, **changes)
        return sketch.results()

    return make


@pytest.fixture
def searching(sketch: Sketch) -> Sketch:
    """Return a study of two methods whose trials, of one parameter, are still to be added."""
    lr = Parameter("lr", "float", 1e-4, 1e-2, log=True)
    sketch.search({"SN": (lr,), "WN": (lr,)})
    return sketch
