"""The house: rooms import downwards only, and the root holds contracts and ground."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1] / "lipbench"
# From the ground up: a room imports from those before it.
ROOMS = (
    "ground", "data", "contracts", "architectures", "datasets", "losses", "measures", "protocols",
    "planning", "training", "scoring", "audit", "cost", "exam", "runs", "engines", "tuning",
    "stats", "results", "reporting", "tracking", "cli",
)  # fmt: skip
GROUND = {
    "atomic", "bibliography", "cached", "errors", "machine", "outcome", "parameterized", "paths",
    "plugins", "process_state", "records", "signals", "streams", "urls", "words", "yamlmarks",
}  # fmt: skip
CONTRACTS = {
    "architecture", "dataset", "discriminators", "loss", "measure", "method", "networks",
    "operators", "rest",
}  # fmt: skip
DOORS = {"__init__", "__main__", "scaffold"}  # the package's own front, and what it copies out


def modules() -> dict[str, Path]:
    """Return every module by its name in the package."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in ROOT.rglob("*.py")
    }


def room(module: str) -> str:
    """Return the room that a module stands in."""
    first = module.split(".")[0]
    if first in ROOMS:
        return first
    return "contracts" if first in CONTRACTS else "ground"


def imported(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Yield the modules that one imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lipbench"):
            package = (node.module or "").removeprefix("lipbench").removeprefix(".")
            for alias in node.names:
                full = f"{package}.{alias.name}".removeprefix(".")
                yield full if full in known else package


def test_no_arrow_runs_back_up():
    known = modules()
    back = [
        f"{module} imports {other}"
        for module, path in known.items()
        if module not in DOORS
        for other in imported(path, known)
        if other and ROOMS.index(room(other)) > ROOMS.index(room(module))
    ]
    assert back == []


def test_no_class_has_the_name_of_another():
    places: dict[str, list[str]] = {}
    for module, path in modules().items():
        if module != "records":  # whose schemas are called what they hold
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places.setdefault(node.name, []).append(module)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_the_root_holds_contracts_and_ground_alone():
    assert {path.stem for path in ROOT.glob("*.py")} - DOORS == GROUND | CONTRACTS
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} - DOORS == set(ROOMS) - {
        "ground",
        "contracts",
    }
