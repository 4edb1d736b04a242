"""How a run stands, or ended: the words that status files, frames and commands share."""

from __future__ import annotations

import enum


class Outcome(enum.StrEnum):
    """How a run stands, in the order in which reports name it; each is its word in files."""

    COMPLETED = "completed"
    PRUNED = "pruned"  # trials of a study only
    DIVERGED = "diverged"
    FAILED = "failed"
    OUT_OF_MEMORY = "out_of_memory"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    DAMAGED = "damaged"  # its files do not say how it stands
    QUEUED = "queued"

    @property
    def is_result(self) -> bool:
        """Return whether it tells of the method, and not of the machine."""
        return self in (Outcome.COMPLETED, Outcome.PRUNED, Outcome.DIVERGED)

    @property
    def is_failure(self) -> bool:
        """Return whether the run ended without a result: it is done again only if asked."""
        return self in (Outcome.FAILED, Outcome.OUT_OF_MEMORY)

    @property
    def ended(self) -> bool:
        """Return whether nothing is left to do, unless somebody asks for a retry."""
        return self.is_result or self.is_failure
