"""What runs were made from and with: the data, software and plugins that a frame does not name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lipbench.data import DatasetInfo
from lipbench.plan import Plan


@dataclass(frozen=True)
class Provenance:
    """The facts of a suite's plan and of its runs' manifests; empty where they are not known."""

    dataset: DatasetInfo | None = None
    versions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of each package
    plugins: tuple[Path, ...] = ()  # the user's own


def of(plan: Plan, sessions: Sequence[Mapping[str, Any]]) -> Provenance:
    """Return the provenance of a plan's runs, of all sessions that made them."""
    versions: dict[str, dict[str, None]] = {}
    for session in sessions:
        for package, version in session.get("versions", {}).items():
            versions.setdefault(package, {})[str(version)] = None
    return Provenance(
        dataset=plan.dataset,
        versions={package: tuple(seen) for package, seen in versions.items()},
        plugins=plan.plugins,
    )
