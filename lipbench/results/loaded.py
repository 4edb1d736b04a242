"""One run: its spec, what it wrote, and its trained networks."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipbench import records
from lipbench.errors import UserError
from lipbench.paths import cache_root
from lipbench.planning.spec import RunSpec
from lipbench.runs import checkpoints
from lipbench.runs.run_folder import SERIES, RunFolder, Status
from lipbench.runs.suite_folder import SuiteFolder

if TYPE_CHECKING:
    from torch import nn

    from lipbench.runs.restore import Trained


@dataclass(frozen=True)
class LoadedRun:
    """A run as `load_run` returns it. Its networks are built when they are asked for."""

    folder: Path
    spec: RunSpec
    status: Status
    rows: Mapping[str, list[dict[str, Any]]]
    """What it wrote, a dict for each row, by `metrics`, `scores` and `audits`."""

    @property
    def generator(self) -> nn.Module:
        """Return the generator that is scored, (N, latent) to (N, C, H, W) in [-1, 1].

        It is that of the newest checkpoint, the moving average where the run has one, on the CPU
        and in eval mode. Raises UserError where there is no checkpoint, or it is damaged.
        """
        return self._trained.state.sampler.eval()

    @property
    def discriminator(self) -> nn.Module:
        """Return the discriminator, (N, C, H, W) to (N,) logits, as `generator` returns G."""
        return self._trained.state.discriminator.eval()

    @functools.cached_property
    def _trained(self) -> Trained:
        import torch

        from lipbench import process_state
        from lipbench.runs.finished import reopen
        from lipbench.runs.restore import find
        from lipbench.runs.run import Workplace

        if not checkpoints.exists(self.folder):
            raise UserError(f"{self.folder} has no checkpoint yet, so no networks")
        (found,) = find([self.folder])
        with process_state.kept():
            return reopen(found, Workplace(torch.device("cpu")), cache_root())


def load_run(folder: str | Path) -> LoadedRun:
    """Return one run of a suite's results, e.g. `runs/table1_2_cifar10/runs/<run_id>`.

    Nothing of torch is imported before `.generator` or `.discriminator` is asked for, which are
    the networks of the newest checkpoint. Rows that cannot be read are left out, with a warning
    that names the file. Raises UserError for a folder that holds no run.
    """
    path = Path(folder)
    if not (path / "spec.json").is_file():
        hint = (
            ", but a suite's results: name one of its runs/"
            if (path / "plan.json").is_file()
            else ""
        )
        raise UserError(f"{path} is no run's folder{hint}")
    run = RunFolder(path)
    spec = run.spec()
    found = {name: run.readable(name) for name in SERIES}
    records.warn([damage for each in found.values() for damage in each.damage])
    rows = {name: each.rows for name, each in found.items()}
    statuses = SuiteFolder(path.absolute().parent.parent).statuses()
    return LoadedRun(path, spec, statuses.get(spec.hash, run.status()), rows)
