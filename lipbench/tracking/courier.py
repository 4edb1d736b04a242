"""Send runs to MLflow from a thread, so that training never waits for a store."""

from __future__ import annotations

import queue
import threading

from lipbench.planning.plan import Plan
from lipbench.runs.suite_folder import SuiteFolder
from lipbench.tracking.mirror import Mirror
from lipbench.urls import masked

_FAILURES = 2  # in a row: then a store counts as away, and `lipbench sync` is left to the user


class Courier:
    """Sends runs to a mirror from a thread; a store's trouble is a sentence in `problem`."""

    def __init__(
        self, uri: str, suite: SuiteFolder, plan: Plan, log_checkpoints: bool = False
    ) -> None:
        self.problem: str | None = None
        self.remarks: list[str] = []
        self._failures = 0
        self._waiting: set[str] = set()
        self._queue: queue.Queue[str | None] = queue.Queue()
        arguments = (uri, suite, plan, log_checkpoints)
        self._thread = threading.Thread(target=self._deliver, args=arguments, daemon=True)
        self._thread.start()

    def send(self, hash_: str) -> None:
        """Send a run's folder as soon as may be, as it is then."""
        if hash_ not in self._waiting and self._failures < _FAILURES:
            self._waiting.add(hash_)
            self._queue.put(hash_)

    def close(self) -> None:
        """Wait until everything is sent, or has failed (see `problem`)."""
        self._queue.put(None)
        self._thread.join()

    def _deliver(self, uri: str, suite: SuiteFolder, plan: Plan, log_checkpoints: bool) -> None:
        mirror = None
        hash_: str | None = ""  # first of all: what an earlier command could not send
        while hash_ is not None:
            self._waiting.discard(hash_)
            try:
                if self._failures < _FAILURES:
                    mirror = mirror or Mirror(uri, suite, plan, log_checkpoints)
                    self.remarks = mirror.remarks
                    mirror.send(hash_) if hash_ else mirror.catch_up()
                    self._failures = 0
            # Whatever goes wrong with a store, from any of its many backends, is told at the end:
            # the folders are whole without it.
            except Exception as error:
                self.problem = masked(f"{type(error).__name__}: {error}".splitlines()[0], uri)
                self._failures += 1
            hash_ = self._queue.get()
