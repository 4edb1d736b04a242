"""Read protocols: those that lipbench ships, and a user's own in a mapping or a YAML file.

All are the same records, read alike. A shipped one stands in `NAME.yaml` beside this module, and
may say everything; a user's own is based on another one, and keeps what lipbench computes it with.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from lipbench import plugins
from lipbench.errors import Mark, UserError, shortened, unknown
from lipbench.protocols.record import Keys, Protocol, RecordError, Selection, Sizes, Use
from lipbench.protocols.scores import SCORES

T = TypeVar("T")

# What a user's own protocol keeps from the one it is based on: lipbench computes it as it says.
_PINNED = {"version", "weights_sha256", "extractor", "preprocessing", "rounding", "batch_norm"}
_PINNED |= {"name", "source", "dataset", "latents_stream"}
_COUNTS = ("n_real", "n_fake", "sets")


class _Shipped(Mapping[str, T]):
    """Shipped protocols by their names, each read when it is asked for."""

    def __init__(self, fitted: bool, made: Callable[[str], T]) -> None:
        self._fitted, self._made = fitted, functools.cache(made)

    def __getitem__(self, name: str) -> T:
        if name not in _files() or _is_fitted(name) != self._fitted:
            raise KeyError(name)
        return self._made(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name in _files() if _is_fitted(name) == self._fitted)

    def __len__(self) -> int:
        return sum(1 for _ in self)


PROTOCOLS: Mapping[str, Protocol] = _Shipped(False, lambda name: _shipped(name, None))
# Protocols whose counts follow from the sizes of the dataset.
FITTED: Mapping[str, Callable[[Sizes], Protocol]] = _Shipped(
    True, lambda name: functools.partial(_shipped, name)
)


def papers(name: str) -> tuple[str, ...]:
    """Return the keys of the papers that a shipped protocol follows."""
    return tuple(_written(name).get("papers", ()))


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
        raise UserError(unknown("protocol", name, _files()))
    return PROTOCOLS[name]


def find(
    given: str | Mapping[str, Any],
    sizes: Sizes | None = None,
    mark: Callable[[Keys], Mark | None] = lambda keys: None,
) -> Protocol:
    """Return a protocol by its name, or a user's own from a mapping or a YAML file of one.

    `sizes` are those of the dataset that it will score; `mark` says where the value at a path of
    keys in `given` was written. Measures of the user's in a folder `measures/` beside the file
    join. Raises UserError for what is no protocol, with the place of the wrong value.
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
    SCORES.join(plugins.beside(path.parent, "measures"))
    return find(record, sizes, lambda keys: document.mark((*above, *keys)))


def custom(record: Mapping[str, Any], sizes: Sizes | None = None) -> Protocol:
    """Return a user's own protocol: `name`, `based_on`, and the fields that differ from that one.

    `scores` maps names to what they differ in, and replaces those of the base:
    `{fid: {n_fake: 10000, sets: 3}, kid: {subsets: 50}}`. A count can be
    `{of: [train, test], most: 5000}`: the smallest of the dataset's splits and the limit. Raises
    RecordError for what cannot be a protocol.
    """
    given = dict(record)
    for required in ("name", "based_on"):
        if required not in given:
            raise RecordError(
                f"a protocol of your own needs {required!r}: name, based_on (one of "
                f"{', '.join(_files())}), and what differs"
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
    return _record({**given, "name": name, "version": 0, "source": source}, base, sizes)


def _record(record: Mapping[str, Any], base: Protocol | None, sizes: Sizes | None) -> Protocol:
    """Return the protocol of a record of known fields, which differs from its base in these."""
    name = record["name"]
    changed = {key: _value(value, sizes, key) for key, value in record.items()}
    if "scores" in changed:
        changed["scores"] = {
            score: _use(use, sizes, ("scores", score)) for score, use in record["scores"].items()
        }
        changed.setdefault("primary", next(iter(changed["scores"])))
    primary = changed["primary"] if "primary" in changed or base is None else base.primary
    scores = changed["scores"] if "scores" in changed or base is None else base.scores
    if isinstance(primary, str) and primary not in scores:
        raise RecordError(f"protocol {name!r}: {unknown('score', primary, scores)}", "primary")
    kept = [score for score in base.selection.scores if score in scores] if base else []
    chosen: dict[str, Any] = {"scores": [primary, *[score for score in kept if score != primary]]}
    for key, value in record.get("selection", {}).items():
        chosen[key] = _value(value, sizes, "selection", key)
    chosen["scores"] = tuple(chosen["scores"])
    if base is None:
        return Protocol(**{**changed, "selection": Selection(**chosen)})
    changed["selection"] = dataclasses.replace(base.selection, **chosen)
    return dataclasses.replace(base, **changed)


@functools.cache
def _files() -> dict[str, Path]:
    """Return the files of shipped protocols, by their names."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.yaml"))}


@functools.cache
def _written(name: str) -> Mapping[str, Any]:
    """Return what a shipped protocol's file says; nothing of a name that there is not."""
    from lipbench import yamlmarks

    data: Mapping[str, Any] = yamlmarks.read(_files()[name]).data if name in _files() else {}
    return data


def _is_fitted(name: str) -> bool:
    return "fewest" in _written(name)


def _shipped(name: str, sizes: Sizes | None) -> Protocol:
    given = {key: value for key, value in _written(name).items() if key != "papers"}
    if sizes:
        _require_enough(name, sizes, given.pop("fewest"))
    given["name"] = f"{name}_{sizes.train}_{sizes.test}" if sizes else name
    base = given.pop("based_on", None)
    return _record(given, PROTOCOLS[base] if base else None, sizes)


def _require_enough(name: str, sizes: Sizes, fewest: Mapping[str, int]) -> None:
    """Raise UserError for a dataset that is too small for a protocol that follows its sizes."""
    images = sizes.train + sizes.test
    least = Sizes(fewest["train"], fewest["test"])
    if images < fewest["images"] or sizes.train < least.train or sizes.test < least.test:
        raise UserError(
            f"protocol {name!r} needs {fewest['images']} images, {least.train} of them training "
            f"and {least.test} test images; the dataset has {sizes.train:,} training and "
            f"{sizes.test:,} test images"
        )


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


def _value(value: Any, sizes: Sizes | None, *keys: str) -> Any:
    """Return a value as a record has it: 1e4 is a whole number, as people write it.

    `{of: [train, test], most: 5000}` is the smallest of a dataset's splits and the limit. Raises
    RecordError where that names something else, or the dataset is not known.
    """
    if isinstance(value, Mapping) and "of" in value:
        named, most = value["of"], value.get("most")
        splits = named if isinstance(named, list) else [named]
        known = [field.name for field in dataclasses.fields(Sizes)]
        if value.keys() - {"of", "most"} or not splits or any(s not in known for s in splits):
            raise RecordError(
                f"{keys[-1]}: got {shortened(value)}; write {{of: [train, test], most: 5000}}",
                *keys,
            )
        if sizes is None:
            raise RecordError(f"{keys[-1]} follows from a dataset's sizes", *keys)
        counts = [getattr(sizes, split) for split in splits]
        return min(counts if most is None else [*counts, _value(most, None, *keys)])
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _use(given: Mapping[str, Any] | None, sizes: Sizes | None, keys: tuple[str, str]) -> Use:
    """Return how a score is used, its measure's options written beside its counts."""
    values = {key: _value(value, sizes, *keys, str(key)) for key, value in (given or {}).items()}
    counts = {key: values.pop(key) for key in _COUNTS if key in values}
    return Use(**counts, options=values)
