"""Results as they are read: frames of runs, and what an exhibit may know of a suite.

Nothing here draws or prints, and nothing imports torch.
"""

from __future__ import annotations

from lipbench.results.results import Results, published, read

__all__ = ["Results", "published", "read"]
