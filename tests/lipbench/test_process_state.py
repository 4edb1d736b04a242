"""What code can change for all others in its process, each found by its name and put back."""

from __future__ import annotations

import decimal
import gc
import math
import os
import random
import signal
import sys
import threading
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lipbench import process_state
from lipbench.errors import UserError
from lipbench.losses import hinge


def do_nothing(*_: object) -> None:
    """Stand in for a handler or a hook."""


CHANGES = {
    "torch's threads: 1, now 2": lambda: torch.set_num_threads(2),
    "torch's default dtype: torch.float32": lambda: torch.set_default_dtype(torch.float64),
    "torch's default device: cpu, now meta": lambda: torch.set_default_device("meta"),
    "torch's grad mode: True, now False": lambda: torch.set_grad_enabled(False),
    "torch's precision of float32": lambda: torch.set_float32_matmul_precision("medium"),
    "torch.backends.cudnn.benchmark": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "torch.backends.mkldnn.enabled": lambda: setattr(torch.backends.mkldnn, "enabled", False),
    "torch's autocast": lambda: torch.set_autocast_enabled("cpu", True),
    "torch's anomaly mode": lambda: torch.autograd.set_detect_anomaly(True),
    "below the normal ones are 0": lambda: torch.set_flush_denormal(True),
    "hooks of all modules": lambda: torch.nn.modules.module.register_module_forward_hook(
        do_nothing
    ),
    "torch.nn.functional.leaky_relu is replaced": lambda: setattr(F, "leaky_relu", F.relu),
    "Conv2d.forward is replaced": lambda: setattr(torch.nn.Conv2d, "forward", do_nothing),
    "Adam.__call__ is replaced": lambda: setattr(torch.optim.Adam, "__call__", do_nothing),
    "math.sqrt is replaced": lambda: setattr(math, "sqrt", math.exp),
    "random.random is replaced": lambda: setattr(random, "random", do_nothing),
    "lipbench.losses.hinge.Hinge.generator is replaced": lambda: setattr(
        hinge.Hinge, "generator", do_nothing
    ),
    "numpy's handling of errors: divide": lambda: np.seterr(divide="raise"),
    "the current folder": lambda: os.chdir("/"),
    "environment variables: LIPBENCH_LEAK": lambda: os.environ.update(LIPBENCH_LEAK="secret"),
    "the umask": lambda: os.umask(0o177),
    "sys.path": lambda: sys.path.insert(0, "/nowhere"),
    "sys.stdin, stdout, stderr": lambda: setattr(sys, "stdout", sys.stderr),
    "warnings that raise": lambda: warnings.simplefilter("error", ImportWarning),
    "signal handlers: SIGUSR1": lambda: signal.signal(signal.SIGUSR1, do_nothing),
    "the recursion limit": lambda: sys.setrecursionlimit(5000),
    "garbage collection: True, now False": gc.disable,
    "the decimal context": lambda: setattr(decimal.getcontext(), "prec", 3),
    "torch.nn.modules.linear.F is replaced": lambda: setattr(torch.nn.modules.linear, "F", math),
    "the inside of torch.nn.modules.conv.Conv2d.forward is replaced": lambda: setattr(
        torch.nn.Conv2d.forward, "__code__", (lambda self, input: input).__code__
    ),
    "the inside of torch.optim.adam.Adam.__init__ is replaced": lambda: setattr(
        torch.optim.Adam.__init__,
        "__defaults__",
        (1.0, *torch.optim.Adam.__init__.__defaults__[1:]),
    ),
    "mkldnn.conv.fp32_precision": lambda: setattr(
        torch.backends.mkldnn.conv, "fp32_precision", "bf16"
    ),
    "parametrize._cache_enabled: 0, now 1": lambda: setattr(
        torch.nn.utils.parametrize, "_cache_enabled", 1
    ),
    "autograd's threads": lambda: torch._C._set_multithreading_enabled(False),
    "torch's way to convert parameters": lambda: (
        torch.__future__.set_swap_module_params_on_conversion(True)
    ),
    "signals that wait": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2}),
    "timers": lambda: signal.setitimer(signal.ITIMER_REAL, 1000),
}


@pytest.mark.parametrize("phrase", CHANGES)
def test_a_change_is_found_by_its_name_and_put_back(phrase):
    before = process_state.capture()
    try:
        CHANGES[phrase]()
        found = "; ".join(process_state.changes(before))
    finally:
        left = process_state.restore(before)
    assert phrase in found
    assert "secret" not in found
    assert left == []
    assert process_state.changes(before) == []


def test_computing_training_and_importing_change_nothing():
    before = process_state.capture()
    torch.nn.Linear(1, 1).register_forward_hook(do_nothing)
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.RMSprop([weight])
    with torch.no_grad(), np.errstate(all="ignore"), decimal.localcontext(prec=2):
        torch.manual_seed(1)
        np.random.rand()
    weight.square().sum().backward()
    optimizer.step()
    import colorsys  # noqa: F401

    assert process_state.changes(before) == []


def test_a_thread_that_goes_on_is_found_and_left_alone():
    before = process_state.capture()
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="watcher")
    thread.start()
    try:
        assert process_state.changes(before) == ["threads: watcher"]
        assert process_state.restore(before) == []
    finally:
        end.set()
        thread.join()


def test_what_cannot_be_put_back_is_a_users_error():
    class Mode(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            return func(*args, **(kwargs or {}))

    mode = Mode()
    message = r"for all that follows \(torch's modes: \(0, 0\), now \(1, 0\)\)"
    try:
        with pytest.raises(UserError, match=message), process_state.kept():
            mode.__enter__()
    finally:
        mode.__exit__(None, None, None)
