"""Signals that stop a command."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from lipbench import signals


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Let no signal be ignored, as under nohup, and put the handlers back after a test."""
    before = {kind: signal.getsignal(kind) for kind in signals.KINDS}
    for kind, handler in before.items():
        if handler is signal.SIG_IGN:
            signal.signal(kind, signal.SIG_DFL)
    yield
    for kind, handler in before.items():
        signal.signal(kind, handler)


@pytest.mark.parametrize("kind", signals.KINDS)
def test_a_signal_raises_what_names_it(kind):
    with pytest.raises(signals.Stopped, match=kind.name), signals.raised():
        signal.raise_signal(kind)


@pytest.mark.parametrize("kind", [signal.SIGHUP, signal.SIGXCPU])
def test_a_signal_that_comes_again_by_itself_does_not_end_the_process(kind):
    with signals.raised():
        for _ in range(2):
            try:
                signal.raise_signal(kind)
            except signals.Stopped:
                assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL  # this one would
    assert signal.getsignal(kind) is not signal.SIG_IGN


def test_signals_are_collected_in_place_of_raising():
    with signals.raised():
        with signals.collected() as came:
            for kind in signals.KINDS:
                signal.raise_signal(kind)
        assert came == list(signals.KINDS)
        with pytest.raises(signals.Stopped):
            signal.raise_signal(signal.SIGHUP)


def test_what_was_ignored_before_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with signals.raised(), signals.collected() as came:
        signal.raise_signal(signal.SIGHUP)
    assert came == []


def test_a_process_that_is_started_blocked_outlives_them():
    kinds = [int(kind) for kind in signals.KINDS]
    code = f"import os; [os.kill(os.getpid(), kind) for kind in {kinds}]"
    with signals.blocked():
        done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == 0
