"""What MLflow is told of a run: plain values, made from its folder. This file knows no MLflow.

Metrics are in groups by their names' prefix, as MLflow's charts are: `train/`, `score/`, `audit/`
and `cost/`. What was measured during training has the update as its step. What is measured once
has step 0: MLflow compares such values between runs as bars, and would draw one dot otherwise. A
value that is the same for every run of a kind is a parameter or a tag.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lipbench.data import named, stored
from lipbench.planning.plan import Plan, PlannedRun
from lipbench.results import frame
from lipbench.runs.run_folder import RunFolder, Status

_AUDITED = ("lower_bound", "upper_bound", "upper_bound_kernel", "tightness", "overfitting_gap")
_NO_METRICS = ("collapsed", "best_update")  # of the final scores: a flag, and where a score is of
_FLOOR = "_floor"  # ends the name of what real images score
_LONGEST_DIGEST = 36  # characters, MLflow's limit
_MOST = 5  # of the values that are not finite are named

Point = tuple[str, float, int, int]  # name, value, time in ms, step; two that are equal are one


@dataclass(frozen=True)
class LoggedRun:
    """A run as MLflow is told of it: parameters, metrics and tags."""

    params: dict[str, str]
    points: list[Point]
    tags: dict[str, str]


def facts(
    run: PlannedRun,
    folder: RunFolder,
    status: Status,
    sessions: Sequence[Mapping[str, Any]],
    protocol: str,
) -> LoggedRun:
    """Return what a run's folder holds now; `protocol` is the id of its suite's.

    Raises Damaged where a file of it cannot be read.
    """
    scored = _final(run, folder, protocol)
    started, ended = milliseconds(sessions[0]["started"]), milliseconds(status.heartbeat)
    during = [*_training(folder, protocol), *_audits(folder)]
    once = [*_scores(scored), *(_cost(status) if status.outcome.is_result else ())]
    points: list[Point] = [(name, value, started, update) for update, name, value in during]
    points += [(name, value, ended, 0) for name, value in once]
    params = {**flatten(run), **_constants(scored, status)}
    tags = {**_tags(run, status, sessions[-1], protocol), "lipbench.folder": folder.path.name}
    tags |= {name: str(scored[""][name]) for name in _NO_METRICS if name in scored.get("", {})}
    finite = [point for point in points if math.isfinite(point[1])]
    bad = [(name, step) for name, value, _, step in points if not math.isfinite(value)]
    if bad:
        named = [f"{name} at update {step}" if step else name for name, step in bad[:_MOST]]
        tags["not finite"] = ", ".join(named)
    return LoggedRun(params, finite, tags)


def run_name(run: PlannedRun) -> str:
    """Return a run's name in MLflow. What tells siblings apart comes first: columns are narrow."""
    if run.trial is None:
        return f"seed {run.spec.seed}: {run.method}, {run.setting}"
    repeat = f" of repeat {run.trial.repeat}" if run.trial.repeat else ""
    again = f"seed {run.spec.seed}, " if run.trial.confirms else ""
    return f"{again}trial {run.trial.number}{repeat}: {run.method}"


def milliseconds(time: float) -> int:
    """Return a time in MLflow's unit."""
    return round(1000 * time)


def flatten(run: PlannedRun) -> dict[str, str]:
    """Return every resolved value of a run as MLflow parameters, e.g. `setting.lr`."""
    spec = run.spec.to_json()
    methods = {method["name"]: method["params"] for method in spec.pop("methods")}
    labels = {"method_label": run.method, "setting_label": run.setting}
    return {**labels, **dict(_leaves({**spec, **methods}, ""))}


def dataset(run: PlannedRun, plan: Plan) -> dict[str, str]:
    """Return the fields of MLflow's record of a dataset. No image is read.

    The digest is the beginning of the fingerprint, which is a parameter as a whole.
    """
    of = run.spec.dataset
    sample, dtype = stored(of.shape)
    values = {"dtype": dtype, "shape": [-1, *sample]}
    fields = {"name": of.name, "digest": of.fingerprint[:_LONGEST_DIGEST]}
    columns = [{"name": named(of.shape), "type": "tensor", "tensor-spec": values}]
    fields["schema"] = json.dumps({"mlflow_tensorspec": {"features": json.dumps(columns)}})
    if of.fingerprint == plan.dataset.fingerprint:
        sizes = {"num_train": plan.dataset.n_train, "num_test": plan.dataset.n_test}
        fields["profile"] = json.dumps(sizes)
    if plan.dataset_path:
        source = {"uri": str(plan.dataset_path)}
        return {**fields, "source_type": "local", "source": json.dumps(source)}
    code = {"tags": {"mlflow.source.name": "lipbench", "mlflow.source.type": "LOCAL"}}
    return {**fields, "source_type": "code", "source": json.dumps(code)}


def _leaves(value: Any, prefix: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, str(value)


def _final(run: PlannedRun, folder: RunFolder, own: str) -> dict[str, dict[str, Any]]:
    """Return the scores at the end of training, by protocol; the suite's own is ''."""
    rows = folder.rows("scores")
    protocols = dict.fromkeys(row["protocol"] for row in rows if row.get("protocol"))
    scored = {
        "" if name == own else name.replace("@", "_v"): frame.final_scores(run.spec, rows, name)
        for name in protocols
    }
    return {name: scores for name, scores in scored.items() if len(scores) > 1}  # else not scored


def _training(folder: RunFolder, protocol: str) -> Iterator[tuple[int, str, float]]:
    """Yield (update, name, value) of the losses and of the scores that choose a checkpoint."""
    for row in folder.rows("metrics"):
        for name, value in row.items():
            if name != "update":
                yield row["update"], f"train/{name}", float(value)
    for row in folder.rows("scores"):
        if row["checkpoint"] == "selection" and row["protocol"] == protocol:
            for name, value in row["scores"].items():
                yield row["update"], f"score/{name}_selection", float(value)


def _scores(scored: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, float]]:
    """Yield the scores at the end of training; those of another protocol in a group of theirs."""
    for protocol, scores in scored.items():
        group = f"score/{protocol}" if protocol else "score"
        for name, value in scores.items():
            if name not in _NO_METRICS and not name.endswith(_FLOOR):
                yield f"{group}/{name}", value


def _audits(folder: RunFolder) -> Iterator[tuple[int, str, float]]:
    for row in folder.rows("audits"):
        for name in _AUDITED:
            if row.get(name) is not None:
                yield row["update"], f"audit/{name}", float(row[name])


def _cost(status: Status) -> Iterator[tuple[str, float]]:
    for name, value in frame.cost(status).items():
        if name != "extra_parameters" and not math.isnan(value):
            yield f"cost/{name}", value


def _constants(scored: Mapping[str, Mapping[str, Any]], status: Status) -> dict[str, str]:
    """Return what is measured and yet the same for all seeds: floors, and how many parameters."""
    constants = {
        ".".join(filter(None, ("floor", protocol, name.removesuffix(_FLOOR)))): f"{value:.6g}"
        for protocol, scores in scored.items()
        for name, value in scores.items()
        if name.endswith(_FLOOR)
    }
    extra = status.cost.get("extra_parameters")
    if status.outcome.is_result and extra is not None:
        constants["extra_parameters"] = f"{extra:.0f}"
    return constants


def _tags(
    run: PlannedRun, status: Status, session: Mapping[str, Any], protocol: str
) -> dict[str, str]:
    tags = {
        "method": run.method,
        "setting": run.setting,
        "seed": str(run.spec.seed),
        "outcome": status.outcome,
        "protocol": protocol,
        "lipbench.version": session.get("versions", {}).get("lipbench", "unknown"),
        **_source(session.get("revision")),
    }
    if run.trial:
        tags |= {name: str(getattr(run.trial, name)) for name in ("repeat", "confirms")}
        tags["trial"] = str(run.trial.number)
    return {**tags, "cause": status.cause} if status.cause else tags


def _source(revision: str | None) -> dict[str, str]:
    """Return MLflow's own tags of where a run comes from; no commit where that is unknown."""
    tags = {"mlflow.source.name": "lipbench", "mlflow.source.type": "LOCAL"}
    if revision is None:
        return tags
    dirty = revision.endswith("-dirty")
    commit = revision.removesuffix("-dirty")
    return {
        **tags,
        "mlflow.source.git.commit": commit,
        "mlflow.source.git.dirty": str(dirty).lower(),
    }
