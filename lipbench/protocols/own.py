"""Find a protocol: a shipped one by its name, or a user's own in a mapping or a YAML file."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lipbench.errors import Mark, UserError, shortened, unknown
from lipbench.protocols.record import Keys, Protocol, RecordError, Selection, Sizes, Use
from lipbench.protocols.shipped import FITTED, PROTOCOLS


def protocol(name: str, sizes: Sizes | None = None) -> Protocol:
    """Return a shipped protocol by its name; `sizes` are those of the dataset that it will score.

    Raises UserError where there is none of that name (the message has the nearest one), and where
    the counts of one follow from the dataset and no sizes are given, or too small ones.
    """
    if name in FITTED:
        if sizes is None:
            raise UserError(f"the counts of protocol {name!r} follow from a dataset's sizes")
        return FITTED[name](sizes)
    if name not in PROTOCOLS:
        raise UserError(unknown("protocol", name, [*PROTOCOLS, *FITTED]))
    return PROTOCOLS[name]


def find(
    given: str | Mapping[str, Any],
    sizes: Sizes | None = None,
    mark: Callable[[Keys], Mark | None] = lambda keys: None,
) -> Protocol:
    """Return a protocol by its name, or a user's own from a mapping or a YAML file of one.

    `sizes` are those of the dataset that it will score; `mark` says where the value at a path of
    keys in `given` was written. Raises UserError for what is no protocol, with the place of the
    wrong value.
    """
    if isinstance(given, str) and Path(given).suffix in (".yaml", ".yml"):
        return _in_file(Path(given), sizes)
    try:
        return custom(given, sizes) if isinstance(given, Mapping) else protocol(given, sizes)
    except RecordError as error:
        raise UserError(str(error), mark(error.keys)) from error
    except UserError as error:
        raise UserError(str(error), mark(())) from error


def _in_file(path: Path, sizes: Sizes | None) -> Protocol:
    """Return the protocol that a YAML file writes out, alone or under the key `protocol`."""
    from lipbench import yamlmarks

    document = yamlmarks.read(path)
    record = document.data
    above: Keys = ()
    if not isinstance(record, Mapping):
        raise UserError(
            "a protocol is a mapping: name, based_on, scores, ...", Mark(document.source, 1)
        )
    if set(record) == {"protocol"} and isinstance(record["protocol"], Mapping):
        record, above = record["protocol"], ("protocol",)  # as it stands in a suite
    return find(record, sizes, lambda keys: document.mark((*above, *keys)))


def custom(record: Mapping[str, Any], sizes: Sizes | None = None) -> Protocol:
    """Return a user's own protocol: `name`, `based_on`, and the fields that differ from that one.

    `scores` maps names to what they differ in, and replaces those of the base:
    `{fid: {n_fake: 10000, sets: 3}, kid: {subsets: 50}}`. Raises RecordError for what
    cannot be a protocol.
    """
    given: dict[str, Any] = {key: _integral(value) for key, value in record.items()}
    for required in ("name", "based_on"):
        if required not in given:
            raise RecordError(
                f"a protocol of your own needs {required!r}: name, based_on (one of "
                f"{', '.join((*PROTOCOLS, *FITTED))}), and what differs"
            )
    name = given.pop("name")
    try:
        base = protocol(str(given.pop("based_on")), sizes)
    except UserError as error:
        raise RecordError(str(error), "based_on") from error
    _check_name(name)
    for at, message in _strange(given, base):
        raise RecordError(f"protocol {name!r}: {message}", *at)
    source = f"a user's own, based on {base.id}"
    changed: dict[str, Any] = {"name": name, "version": 0, "source": source, **given}
    if "scores" in given:
        changed["scores"] = {score: _use(use) for score, use in given["scores"].items()}
        changed.setdefault("primary", next(iter(changed["scores"])))
    primary = changed.get("primary", base.primary)
    scores = changed.get("scores", base.scores)
    if primary not in scores:
        raise RecordError(f"protocol {name!r}: {unknown('score', primary, scores)}", "primary")
    kept = [s for s in base.selection.scores if s in changed.get("scores", base.scores)]
    chosen: dict[str, Any] = {"scores": [primary, *[s for s in kept if s != primary]]}
    chosen |= {key: _integral(value) for key, value in changed.get("selection", {}).items()}
    chosen["scores"] = tuple(chosen["scores"])
    changed["selection"] = dataclasses.replace(base.selection, **chosen)
    return dataclasses.replace(base, **changed)


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]{0,63}", name):
        raise RecordError(
            "a protocol's name is of letters, digits, _, - and ., at most 64; got "
            f"{shortened(name)}",
            "name",
        )
    if name in PROTOCOLS or any(name.startswith(fitted) for fitted in FITTED):
        raise RecordError(f"the protocol {name!r} exists; call yours something else", "name")


def _strange(given: Mapping[str, Any], base: Protocol) -> Iterator[tuple[Keys, str]]:
    """Yield where a record is not of a protocol's form, and why: no key is without a reader."""
    fields = {f.name for f in dataclasses.fields(Protocol)} - _PINNED
    for key, value in given.items():
        if key not in fields:
            yield (key,), unknown("field", key, sorted(fields))
        if key in ("scores", "selection") and not (isinstance(value, Mapping) and value):
            yield (
                (key,),
                f"{key}: got {shortened(value)}; it is a mapping, e.g. "
                "scores: {fid: {n_fake: 10000}}, selection: {split: train}",
            )
    for score, use in given.get("scores", {}).items():
        if not isinstance(use, Mapping | None):
            yield (
                ("scores", score),
                f"got {shortened(use)} for a score; write its counts, e.g. {{n_fake: 10000}}",
            )
    chosen = given.get("selection", {})
    known = [f.name for f in dataclasses.fields(Selection)]
    for key in chosen:
        if key not in known:
            yield ("selection", key), f"selection: {unknown('key', key, known)}"
    named = chosen.get("scores", [])
    names = isinstance(named, list) and all(isinstance(score, str) for score in named)
    if not names or len(set(named)) < len(named):
        yield (
            ("selection", "scores"),
            f"selection.scores: got {shortened(named)}; it is a list of different names, e.g. "
            f"[{', '.join(base.selection.scores)}]: options stand under `scores`, which the "
            "selection shares",
        )


# What a user's own protocol keeps from the one it is based on: lipbench computes it as it says.
_PINNED = {"version", "weights_sha256", "extractor", "preprocessing", "rounding", "batch_norm"}
_PINNED |= {"name", "source", "dataset", "latents_stream"}
_COUNTS = ("n_real", "n_fake", "sets")


def _integral(value: Any) -> Any:
    """Take 1e4 for a whole number, as people write it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _use(given: Mapping[str, Any] | None) -> Use:
    """Return how a score is used, its measure's options written beside its counts."""
    values = {key: _integral(value) for key, value in (given or {}).items()}
    counts = {key: values.pop(key) for key in _COUNTS if key in values}
    return Use(**counts, options=values)
