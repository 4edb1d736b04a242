"""Mirror run folders to MLflow. The folders are the truth: a mirror can be made again at any time.

One experiment for a suite, one MLflow run for a run; seeds are nested under their method and
setting, the trials of a study under their method. Times come from the run's folder, so sending a
run again changes nothing. If the store is away, training goes on; the next `lipbench run`, `tune`,
`report` or `sync` catches up.
"""

from __future__ import annotations

from lipbench.tracking.courier import Courier
from lipbench.tracking.mirror import Mirror

__all__ = ["Courier", "Mirror"]
