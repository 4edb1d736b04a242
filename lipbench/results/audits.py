"""What audits measured of discriminators, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lipbench import records
from lipbench.runs.run_folder import RunFolder
from lipbench.runs.suite_folder import SuiteFolder

_COLUMNS = ["run_id", "update", "layer", "name", "value"]
_OF_LAYERS = (
    "sigma_kernel", "sigma_original", "sigma_estimate", "sigma_operator", "effective_rank",
    "stable_rank",
)  # fmt: skip
_OF_D = (
    "upper_bound", "upper_bound_kernel", "lower_bound", "tightness", "overfitting_gap",
    "loss_train", "loss_heldout", "seconds",
)  # fmt: skip


def load_audits(folder: str | Path) -> pd.DataFrame:
    """Return what was measured of discriminators, long: `run_id`, `update`, `layer`, `name`,
    `value`.

    Of the whole discriminator (`layer` is None): the bounds on its Lipschitz constant
    `upper_bound` (product of the layers' operator norms), `upper_bound_kernel` (of their kernels'
    norms, which is none for convolutions), `lower_bound` (the largest gradient norm that was
    found) and `lower_bound_<where>`, `tightness` (lower / upper), `gradient_norm_<where>` (mean),
    `overfitting_gap`, `loss_train`, `loss_heldout` and `seconds`. Of a layer: `sigma_kernel`,
    `sigma_original` (before a reparametrization), `sigma_estimate` (that of the method itself),
    `sigma_operator`, `effective_rank`, `stable_rank`; of an activation `saturation` and `dead`.
    A number that an audit does not have has no row; of an update that was audited twice the newer
    audit counts. docs/audit.md has the definitions. Rows that cannot be read are left out,
    with a warning that names the file. Raises UserError where the folder holds no results.
    """
    suite = SuiteFolder(Path(folder))
    suite.plan()
    rows = [
        (run.path.name, int(audit["update"]), layer, name, float(value))
        for run in suite.folders().values()
        for audit in audits(run)
        for layer, name, value in _facts(audit)
        if value is not None
    ]
    return pd.DataFrame(rows, columns=_COLUMNS).astype({"update": "int64", "value": "float64"})


def audits(run: RunFolder) -> list[dict[str, Any]]:
    """Return a run's audits, oldest first: of one update that was audited twice, the newer.

    They are as stored, but for spectra, which are arrays: they are nearly all of an audit's bytes.
    """
    found = run.readable("audits")
    records.warn(found.damage)
    by_update = {int(row["update"]): row for row in found.rows}
    for audit in by_update.values():
        for layer in audit.get("layers", ()):
            layer |= {f"spectrum_{of}": spectrum(layer, of) for of in ("kernel", "circular")}
    return [by_update[update] for update in sorted(by_update)]


def spectrum(layer: Mapping[str, Any], of: str) -> NDArray[np.float64]:
    """Return the singular values of a layer in an audit, the largest first, empty for none.

    `of` is `kernel`, or `circular` for the convolution with circular padding.
    """
    stored = layer.get(f"spectrum_{of}")
    return np.asarray(() if stored is None else stored, float)


def _facts(audit: Mapping[str, Any]) -> Iterator[tuple[str | None, str, Any]]:
    for name in _OF_D:
        yield None, name, audit.get(name)
    for where, value in audit["lower_bounds"].items():
        yield None, f"lower_bound_{where}", value
    for where, spread in audit["gradient_norms"].items():
        yield None, f"gradient_norm_{where}", spread["mean"]
    for layer in audit["layers"]:
        for name in _OF_LAYERS:
            yield layer["name"], name, layer.get(name)
    for layer in audit["saturation"]:
        yield layer["name"], "saturation", layer["share"]
        yield layer["name"], "dead", layer["dead"]
