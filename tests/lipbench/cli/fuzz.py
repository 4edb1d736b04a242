"""Suites that are wrong in many ways: shipped ones, changed at random with a seed."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from lipbench.planning import suite

SHIPPED = sorted(Path(suite.__file__).parents[2].glob("suites/*.yaml"))

# As YAML: what stands where something else should, and odd pieces of syntax.
VALUES = (
    "", "~", "true", "'true'", "0", "-1", "010", "0x1F", "1:30", "1_000", "1e300", "1e-400",
    "9223372036854775807", "9223372036854775808", ".inf", "-.inf", ".nan", "''", "' '", "a" * 300,
    "x + y", "none + none", "[]", "[[]]", "{}", "{a: {b: {c: 1}}}", "{name: x}", "{name: [1]}",
    "{3: x}", "{[1]: x}", "*a", "&a [*a]", "!!bool x", "!!timestamp x", "!!set {a}", "!!int 010",
    "2024-01-01", "\"\\0\"", "\"\\uD800\"", "\"\\e[31m\"", "'{x} %s'", "~nobody/x", "/dev/zero",
    "[" * 200, "{<<: 1}", "µ²", "[1, 1]", "{lr: 1, beta1: 0, beta2: 0, n_dis: 1}", "miyato2018",
    "recipe", "spectral_norm", "{spectral_norm: {power_iterations: [1, 2, 1]}}", "x.yaml",
    "{low: 1, high: 0}", "{low: -1, high: 1, log: true}", "{choices: [], when: {}}",
    "1e18", "{wgan_gp: 3}",
)  # fmt: skip
KEYS = ("", "²", "-1", "0", "x", "name", "a" * 200, "methods", "tune", "search", "<<", "when")


def cases(seed: int, count: int) -> Iterator[tuple[str, list[str], str | None, str]]:
    """Yield (text of a suite, `--set` assignments, `--only` or None, what was changed)."""
    chance = random.Random(seed)
    for number in range(count):
        file = chance.choice(SHIPPED)
        text = file.read_text(encoding="utf-8")
        assigned: list[str] = []
        only = None
        kind = ("structure", "text", "set", "only")[number % 4]
        if kind == "structure":
            text, what = _structure(text, chance)
        elif kind == "text":
            text, what = _text(text, chance)
        elif kind == "set":
            assigned = [_assignment(text, chance) for _ in range(chance.choice((1, 1, 2)))]
            what = repr(assigned)[:200]
        else:
            only = _only(chance)
            what = repr(only)[:200]
        yield text, assigned, only, f"seed {seed}, case {number}: {file.name}, {kind}: {what}"


PROTOCOL = """name: mine
based_on: offline
n_real: 5000
n_fake: 4000
bootstrap: 10
collapse_ratio: 0.05
n_training: 10000
real_split: test
floor_split: train
primary: kd_effnetlite0
scores:
  fd_effnetlite0: {sets: 2}
  kd_effnetlite0: {subsets: 50, subset_size: 500, n_real: 5000}
  cs_effnetlite0: {splits: 2, n_fake: 3000}
  authenticity_effnetlite0: {}
selection: {split: test, n_real: 5000, n_fake: 5000, scores: [kd_effnetlite0]}
"""


def protocols(seed: int, count: int) -> Iterator[tuple[str, str]]:
    """Yield (text of a protocol's file, what was changed)."""
    chance = random.Random(seed)
    for number in range(count):
        change = _text if number % 3 == 0 else _structure
        text, what = change(PROTOCOL, chance)
        yield text, f"seed {seed}, case {number}: {what}\n{text[:2000]}"


def _places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    inner = [place for key, held in items for place in _places(held, (*path, key))]
    return [*([path] if path else []), *inner]


def _structure(text: str, chance: random.Random) -> tuple[str, str]:
    """Remove, rename, double or replace one value."""
    data = copy.deepcopy(yaml.safe_load(text))
    path = chance.choice(_places(data))
    holder = data
    for step in path[:-1]:
        holder = holder[step]
    action = chance.choice(("remove", "replace", "replace", "replace", "wrap", "rename"))
    value = chance.choice(VALUES)
    if action == "remove":
        del holder[path[-1]]
    elif action == "wrap":
        holder[path[-1]] = chance.choice(([holder[path[-1]]], {"x": holder[path[-1]]}))
    elif action == "rename" and isinstance(holder, dict):
        holder[chance.choice(KEYS)] = holder.pop(path[-1])
    else:
        holder[path[-1]] = "PLACE-OF-IT"
    written = yaml.safe_dump(data, sort_keys=False, width=10_000)
    return written.replace("PLACE-OF-IT", value), f"{action} {path} {value[:60]!r}"


def _text(text: str, chance: random.Random) -> tuple[str, str]:
    """Remove, double or insert some characters."""
    at = chance.randrange(len(text))
    length = chance.choice((1, 1, 5, 40))
    action = chance.choice(("remove", "double", "insert"))
    if action == "remove":
        return text[:at] + text[at + length :], f"remove {length} at {at}"
    if action == "double":
        return text[: at + length] + text[at:], f"double {length} at {at}"
    piece = chance.choice((*VALUES, "\t", "\n", ": ", "- ", "---\n", "#", "\x00", "%", "|", "'"))
    return text[:at] + piece + text[at:], f"insert {piece[:40]!r} at {at}"


def _assignment(text: str, chance: random.Random) -> str:
    path = [str(step) for step in chance.choice(_places(yaml.safe_load(text)))]
    if chance.random() < 0.4:
        path[chance.randrange(len(path))] = chance.choice(KEYS)
    if chance.random() < 0.2:
        path.append(chance.choice(KEYS))
    return f"{'.'.join(path)}{chance.choice(('=', '=', '=', '=', ''))}{chance.choice(VALUES)}"


def _only(chance: random.Random) -> str:
    keys = ("method", "setting", "seed", "methods", "", "²", "a" * 200)
    values = ("none", "C", "0", "00", "²", "", "x" * 300, "a=b", "\n", "\x1b[1m", "µ")
    pairs = (f"{chance.choice(keys)}={chance.choice(values)}" for _ in range(chance.randint(1, 3)))
    return ",".join(pairs) if chance.random() < 0.9 else chance.choice(values)
