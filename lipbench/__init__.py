"""Compare the ways of controlling a GAN discriminator's Lipschitz constant."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lipbench.results.audits import load_audits
    from lipbench.results.frame import load_curves, load_runs, load_trials
    from lipbench.results.loaded import load_run

__version__ = "0.1.0"
__all__ = ["__version__", "load_audits", "load_curves", "load_run", "load_runs", "load_trials"]

_FOUND_IN = {
    "load_audits": "audits",
    "load_curves": "frame",
    "load_run": "loaded",
    "load_runs": "frame",
    "load_trials": "frame",
}


def __getattr__(name: str) -> Any:
    """Import what reads results only when asked: `lipbench --help` need not wait for pandas."""
    if name in _FOUND_IN:
        module = importlib.import_module(f"lipbench.results.{_FOUND_IN[name]}")
        return getattr(module, name)
    raise AttributeError(f"module 'lipbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, imported or not."""
    return sorted({*globals(), *__all__})
