"""What runs were made from and with: the data, software and plugins that a frame does not name."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lipbench.data import DatasetInfo
from lipbench.planning.plan import Plan


@dataclass(frozen=True)
class Provenance:
    """The facts of a suite's plan and of its runs' manifests; empty where they are not known."""

    dataset: DatasetInfo | None = None
    versions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of each package
    plugins: tuple[Path, ...] = ()  # the user's own
    commands: tuple[str, ...] = ()  # that made the runs, as a shell takes them


def of(plan: Plan, sessions: Sequence[Mapping[str, Any]]) -> Provenance:
    """Return the provenance of a plan's runs, of all sessions that made them."""
    versions: dict[str, dict[str, None]] = {}
    commands: dict[str, None] = {}
    for session in sessions:
        if command := session.get("command"):
            commands[_shell(command)] = None
        for package, version in session.get("versions", {}).items():
            versions.setdefault(package, {})[str(version)] = None
    return Provenance(
        dataset=plan.dataset,
        versions={package: tuple(seen) for package, seen in versions.items()},
        plugins=plan.plugins,
        commands=tuple(commands),
    )


def _shell(command: Sequence[str]) -> str:
    """Return a command as a shell takes it, of its program the name only."""
    program = Path(command[0]).name
    called = ["python", "-m", "lipbench"] if program == "__main__.py" else [program]
    return shlex.join([*called, *command[1:]])
