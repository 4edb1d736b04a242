"""Signals that stop a command: a terminal's, a batch system's, those of a limit that is near."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

# SIGHUP: the terminal is gone. SIGUSR1, SIGUSR2: a batch system's warning. SIGXCPU: its limit of
# CPU time.
KINDS = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGXCPU,
)
# Sent again, these end a command at once. The others come more than once by themselves: a
# terminal that closes sends SIGHUP twice, and each worker passes SIGXCPU on.
INSISTENT = (signal.SIGINT, signal.SIGTERM)


STOPPED = 130  # the exit code of a command that a signal has stopped


class Stopped(BaseException):
    """A signal asked this process to stop.

    It is no KeyboardInterrupt, which a plugin can raise, and no Exception, which it can catch.
    """

    def __init__(self, kind: signal.Signals) -> None:
        super().__init__(kind.name)
        self.by_keyboard = kind is signal.SIGINT


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """Let the first signal raise Stopped, named by it; another Ctrl-C ends the process at once."""

    def stop(kind: int, _: FrameType | None) -> None:
        for each in _heeded():
            signal.signal(each, signal.SIG_DFL if each in INSISTENT else signal.SIG_IGN)
        raise Stopped(signal.Signals(kind))

    with _handled(stop):
        yield


@contextlib.contextmanager
def collected() -> Iterator[list[signal.Signals]]:
    """Collect the signals that come in a list, in place of raising anything anywhere."""
    came: list[signal.Signals] = []
    with _handled(lambda kind, _: came.append(signal.Signals(kind))):
        yield came


@contextlib.contextmanager
def blocked() -> Iterator[None]:
    """Let a process that is started here never see these signals: its parent sees them.

    What is blocked stays so in the new process from its first instruction, handlers do not. Here,
    a signal that comes meanwhile waits for the end of the block.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, KINDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    previous = {kind: signal.signal(kind, handler) for kind in _heeded()}
    try:
        yield
    finally:
        for kind, earlier in previous.items():
            signal.signal(kind, signal.SIG_DFL if earlier is None else earlier)


def _heeded() -> list[signal.Signals]:
    """Return the kinds that are not ignored: `nohup` makes SIGHUP so.

    SIGINT counts always. Shells ignore it for what runs in the background, and a batch system
    sends it there.
    """
    return [
        kind
        for kind in KINDS
        if kind is signal.SIGINT or signal.getsignal(kind) is not signal.SIG_IGN
    ]
