"""Tell the time: of a run's training over all its sessions, and of steps side by side."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import torch

from lipbench.cost import usage
from lipbench.cost.usage import Gauge

Item = TypeVar("Item")

_APART = ("seconds_scoring", "seconds_auditing")  # what is not training
WARM_UP_UPDATES = 10  # of a session, not timed: allocations, kernel selection


class Clock:
    """What a run takes, over all its sessions: seconds of its parts, and of training more.

    Training's time is that of its laps; so is what gauges read. A gauge that is silent once, or
    was in an earlier session, is left out from then on: a part is not told as the whole.
    """

    def __init__(
        self,
        cost: Mapping[str, float],
        device: torch.device,
        images_per_update: float,
        with_gauges: Sequence[Gauge] | None = None,
    ) -> None:
        """Go on from an earlier session's cost, or from {}.

        `images_per_update` are those that `images_per_second` counts: the real and generated ones
        of D's updates, and the generated ones of G's (`runs.estimates.work`).
        """
        self._device, self._images_per_update = device, images_per_update
        self.training = cost.get("seconds_training", 0.0)
        self._apart = {part: cost.get(part, 0.0) for part in _APART}
        self._timed = cost.get("timed_updates", 0.0)
        self._timed_seconds = cost.get("timed_seconds", 0.0)
        found = usage.of(device) if with_gauges is None else with_gauges
        self._gauges = [gauge for gauge in found if not self.training or gauge.name in cost]
        self._read = {gauge.name: cost[gauge.name] for gauge in found if gauge.name in cost}
        self._session_updates = 0
        self._settle()
        self.restart()

    @property
    def is_warm(self) -> bool:
        """Return whether this session's laps are timed by now."""
        return self._session_updates >= WARM_UP_UPDATES

    def lap(self, updates: int) -> None:
        """Count what came since the last lap, or restart, as training of so many updates."""
        synchronise(self._device)
        seconds = time.perf_counter() - self._last
        self.training += seconds
        if self.is_warm:
            self._timed += updates
            self._timed_seconds += seconds
        self._session_updates += updates
        for gauge in tuple(self._gauges):
            self._take(gauge)
        self.restart()

    def restart(self) -> None:
        """Leave what happened since the last lap out of training's cost."""
        for gauge in self._gauges:
            gauge.start()
        self._last = time.perf_counter()

    def scoring(self) -> contextlib.AbstractContextManager[None]:
        """Count the time within as scoring's; the next lap wants a restart before it."""
        return self._spent("seconds_scoring")

    def auditing(self) -> contextlib.AbstractContextManager[None]:
        """Count the time within as the audits'; the next lap wants a restart before it."""
        return self._spent("seconds_auditing")

    @contextlib.contextmanager
    def _spent(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._apart[part] += time.perf_counter() - start
        self._settle()

    def cost(self) -> dict[str, float]:
        """Return seconds and gauges, and the pace of an update where enough were timed."""
        cost = {
            "seconds_training": self.training,
            **self._apart,
            "timed_updates": self._timed,
            "timed_seconds": self._timed_seconds,
            **self._read,
        }
        if self._timed:
            cost["seconds_per_update"] = self._timed_seconds / self._timed
            cost["images_per_second"] = self._images_per_update / cost["seconds_per_update"]
        return cost

    def _take(self, gauge: Gauge) -> None:
        value, earlier = gauge.read(), self._read.pop(gauge.name, None)
        if value is None:
            self._gauges.remove(gauge)
        else:
            self._read[gauge.name] = value if earlier is None else gauge.join(earlier, value)

    def _settle(self) -> None:
        for gauge in self._gauges:
            gauge.settle()


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(step: Callable[[], object], device: torch.device, repeats: int = 1) -> float:
    """Return the seconds of so many calls together, as the device ends them."""
    synchronise(device)
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    synchronise(device)
    return time.perf_counter() - start


def rotated(items: Sequence[Item], by: int) -> list[Item]:
    """Return the items in their order, beginning with the one at `by`, counted around."""
    start = by % len(items) if items else 0
    return [*items[start:], *items[:start]]


def interleaved(
    steps: Sequence[Callable[[], object]], device: torch.device, rounds: int
) -> list[list[float]]:
    """Return the seconds of each step, a number a round, after one round that warms up.

    A machine that is noisy for a while is so for every step, and each round begins with another.
    """
    times: list[list[float]] = [[] for _ in steps]
    for round_ in range(rounds + 1):
        for index in rotated(range(len(steps)), round_):
            took = seconds(steps[index], device)
            if round_:
                times[index].append(took)
    return times
