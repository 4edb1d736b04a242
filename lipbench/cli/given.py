"""What a user names, as values: suites, plans, protocols, folders, devices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipbench.cli import printing
from lipbench.cli.printing import say
from lipbench.urls import masked

if TYPE_CHECKING:
    from lipbench.planning.plan import Plan, PlannedRun
    from lipbench.planning.suite import Suite
    from lipbench.plugins import Plugins
    from lipbench.protocols import Protocol
    from lipbench.runs.run import Workplace
    from lipbench.runs.suite_folder import SuiteFolder
    from lipbench.tuning.study import Study
    from lipbench.yamlmarks import Document


_MANY_RUNS = 2000  # whose planning takes longer than a moment


def read_suite(
    given: str, set_: list[str] | None, files: list[Path] | None, small: bool = False
) -> tuple[Suite, Document, Plugins]:
    """Return a suite or study as its file says it, and the plugins, also those beside the file."""
    from lipbench.planning import suite as suites
    from lipbench.plugins import Plugins, beside

    path = suites.find(given)
    suite, document = suites.read(path, set_ or [], small)
    return suite, document, Plugins([*(files or []), *beside(path.parent)])


def plan_of(
    given: str, set_: list[str] | None, only: str, files: list[Path] | None, small: bool = False
) -> tuple[Plan, Plugins, list[PlannedRun]]:
    """Return a suite's plan, its plugins (also from beside its file), and the runs asked for."""
    return planned(read_suite(given, set_, files, small), only)


def planned(
    read: tuple[Suite, Document, Plugins], only: str
) -> tuple[Plan, Plugins, list[PlannedRun]]:
    from lipbench import paths
    from lipbench.planning import only as only_
    from lipbench.planning import resolve

    suite, document, registry = read

    load_own(registry)
    runs = resolve.count(suite, document)
    if runs > _MANY_RUNS:
        say(f"planning {runs:,} runs", error=True)
    with printing.aside():
        made = resolve.plan(suite, document, registry, paths.cache_root())
    return made, registry, only_.chosen(made, only)


def study_of(suite: Suite, document: Document, registry: Plugins) -> Study:
    from lipbench import paths
    from lipbench.tuning.study import study

    load_own(registry)
    return study(suite, document, registry, paths.cache_root())


def load_own(registry: Plugins) -> None:
    """Import the user's own files, so that one with a mistake is told of, used or not."""
    if registry.files():
        from lipbench import process_state  # imports torch
        from lipbench.planning import parts

        with process_state.kept(), printing.aside():
            parts.load_own(registry)


def protocol_of(protocol: str, plan: Plan, suite: SuiteFolder | None = None) -> Protocol:
    """Return the protocol that a user names, for the dataset of a plan.

    It may be the id of one that the plan's results were scored by before.
    """
    from lipbench import protocols

    if suite and protocol in (known := suite.protocols()):
        return known[protocol]
    sizes = protocols.Sizes(plan.dataset.n_train, plan.dataset.n_test)
    return protocols.find(protocol, sizes)


def suite_folder(runs_dir: Path, name: str) -> SuiteFolder:
    from lipbench.runs.suite_folder import SuiteFolder

    return SuiteFolder(runs_dir / name)


def first_line(error: Exception, uri: str) -> str:
    return masked(f"{type(error).__name__}: {error}".splitlines()[0], uri)


def workplace_on(device: str | None) -> Workplace:
    """Return what one process needs to work on one device."""
    import torch

    from lipbench.cli.display import Steps
    from lipbench.engines import local
    from lipbench.runs.run import Workplace
    from lipbench.training import arithmetic

    arithmetic.limit_threads()
    arithmetic.exact_float32()
    on = torch.device(local.slots(device, 1, 1)[0])
    return Workplace(on, Steps(lambda line: say(line, error=True)))


def print_json(value: Any) -> None:
    """Print dataclasses and what holds them."""
    import dataclasses

    print(json.dumps(value, indent=1, default=dataclasses.asdict))
