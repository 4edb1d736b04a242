"""Compare the ways of controlling a GAN discriminator's Lipschitz constant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lipbench.results.frame import load_curves, load_runs, load_trials

__version__ = "0.1.0"
__all__ = ["__version__", "load_curves", "load_runs", "load_trials"]


def __getattr__(name: str) -> Any:
    """Import what reads results only when asked: `lipbench --help` need not wait for pandas."""
    if name in ("load_runs", "load_curves", "load_trials"):
        from lipbench.results import frame

        return getattr(frame, name)
    raise AttributeError(f"module 'lipbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, imported or not."""
    return sorted({*globals(), *__all__})
