"""The results of several folders as one: two code versions, or mine against a reference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pandas as pd

from lipbench.errors import UserError
from lipbench.results.provenance import Provenance
from lipbench.results.results import Results
from lipbench.results.settings import COLUMNS
from lipbench.words import listed

T = TypeVar("T")

_SAME = {  # what folders should share, and what it is called
    "dataset": "data",
    "image_size": "image size",
    "architecture": "architecture",
    "width": "width",
    "initialisation": "initialisation",
    "loss": "loss",
    "planned_updates": "generator updates",
    "batch_size": "batch size of D",
    "generator_batch_size": "batch size of G",
    "augmentation": "augmentation",
    "precision": "precision",
    "ema_decay": "moving average of G",
}
_SETTING = list(COLUMNS)


def names(folders: Sequence[Path]) -> list[str]:
    """Return a short name of each folder: its last parts, as many as tell them apart."""
    parts = [folder.absolute().parts for folder in folders]
    for count in range(1, max(map(len, parts), default=1) + 1):
        short = ["/".join(some[-count:]) for some in parts]
        if len(set(short)) == len(short):
            return short
    raise UserError("a folder is compared with itself")


def joined(folders: Mapping[str, Results]) -> Results:
    """Return the results of folders, by their names, as those of one suite.

    A method that several folders have gets the folder's name, `SN (mine)`, and so does a setting
    that stands for other values; run ids begin with it. What the folders differ in is said in
    `remarks`. Costs that were measured side by side are left out: two measurements are not side
    by side. Raises UserError where a folder holds a study, or protocols differ.
    """
    if studies := [name for name, each in folders.items() if each.tuning]:
        raise UserError(f"{listed(studies)}: a study is compared with nothing; leave it out")
    protocols = {name: each.protocol.id for name, each in folders.items()}
    if len(set(protocols.values())) > 1:
        told = listed([f"{name} by {protocol}" for name, protocol in protocols.items()])
        raise UserError(
            f"scores of different protocols are not comparable ({told}): `lipbench eval` scores "
            "runs under another one, which --protocol then shows"
        )
    named = {
        name: _named(each, name, _shared_methods(folders), _shared_settings(folders))
        for name, each in folders.items()
    }
    every = list(named.values())
    first = every[0]
    datasets = {repr(each.provenance.dataset): each.provenance.dataset for each in every}
    versions: dict[str, dict[str, None]] = {}
    for each in every:
        for package, seen in each.provenance.versions.items():
            versions.setdefault(package, {}).update(dict.fromkeys(seen))
    return replace(
        first,
        suite=" and ".join(folders),
        description="",
        runs=pd.concat([each.runs for each in every], ignore_index=True),
        left_out=sum(each.left_out for each in every),
        curves=pd.concat([each.curves for each in every], ignore_index=True),
        samples=_united(each.samples for each in every),
        methods=_ordered(each.methods for each in every),
        settings=_ordered(each.settings for each in every),
        audits=_united(each.audits for each in every),
        cost=None,
        machines=_ordered(each.machines for each in every),
        grids=_united(each.grids for each in every),
        planes=_united(each.planes for each in every),
        specs=_united(each.specs for each in every),
        revisions=_ordered(each.revisions for each in every),
        provenance=Provenance(
            dataset=first.provenance.dataset if len(datasets) == 1 else None,
            versions={package: tuple(seen) for package, seen in versions.items()},
            plugins=_ordered(each.provenance.plugins for each in every),
            commands=_ordered(each.provenance.commands for each in every),
        ),
        remarks=tuple(_remarks(folders)),
    )


def _shared_methods(folders: Mapping[str, Results]) -> set[str]:
    labels = [method for each in folders.values() for method in each.methods]
    return {label for label in labels if labels.count(label) > 1}


def _shared_settings(folders: Mapping[str, Results]) -> set[str]:
    """Return the settings that stand for other values in another folder."""
    runs = pd.concat([each.runs for each in folders.values()])
    values = runs.drop_duplicates(["setting", *_SETTING]).groupby("setting").size()
    within = [
        each.runs.groupby("setting")[_SETTING].nunique().max(axis=1) for each in folders.values()
    ]
    varied = {setting for some in within for setting in some.index[some > 1]}
    return {str(setting) for setting in values.index[values > 1] if setting not in varied}


def _named(results: Results, name: str, methods: set[str], settings: set[str]) -> Results:
    def method(label: str) -> str:
        return f"{label} ({name})" if label in methods else label

    def setting(label: str) -> str:
        return f"{label} ({name})" if label in settings else label

    def keyed(values: Mapping[str, T]) -> dict[str, T]:
        return {f"{name}/{run}": value for run, value in values.items()}

    return replace(
        results,
        runs=results.runs.assign(
            run_id=name + "/" + results.runs["run_id"],
            method=results.runs["method"].map(method),
            setting=results.runs["setting"].map(setting),
        ),
        curves=results.curves.assign(run_id=name + "/" + results.curves["run_id"]),
        samples=keyed(results.samples),
        methods=tuple(map(method, results.methods)),
        settings=tuple(map(setting, results.settings)),
        audits=keyed(results.audits),
        grids=keyed(results.grids),
        planes=keyed(results.planes),
        specs=keyed(results.specs),
    )


def _united(parts: Iterable[Mapping[str, T]]) -> dict[str, T]:
    return {key: value for part in parts for key, value in part.items()}


def _ordered(parts: Iterable[Sequence[T]]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(value for part in parts for value in part))


def _remarks(folders: Mapping[str, Results]) -> Iterator[str]:
    yield f"Compared are the results in {listed(list(folders))}."
    for name, each in folders.items():
        yield from (f"{name}: {remark}" for remark in each.remarks)
    for column, called in _SAME.items():
        if told := _differing({n: _values(each, column) for n, each in folders.items()}):
            yield f"They differ in {called}, so not in methods alone: {told}."
    code = {n: [revision[:12] for revision in each.revisions] for n, each in folders.items()}
    if told := _differing({name: ", ".join(revisions) for name, revisions in code.items()}):
        yield f"Revisions of lipbench: {told}."


def _values(results: Results, column: str) -> str:
    values = results.runs[column].drop_duplicates()
    return ", ".join(
        "none" if pd.isna(v) else f"{v:,}" if isinstance(v, int) else str(v) for v in values
    )


def _differing(values: Mapping[str, str]) -> str:
    if len(set(values.values())) < 2:
        return ""
    return "; ".join(f"{value or 'not known'} ({name})" for name, value in values.items())
