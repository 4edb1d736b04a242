"""The state that all code of a process shares: what a run finds decides its bits.

Plugins can change it (`torch.set_num_threads`, `os.chdir`, a replaced function), and must not
change another run by that. `changes` compares the process with what `capture` saw; `restore` puts
back what can be. Random generators are not here: each run seeds them.
"""

from __future__ import annotations

import builtins
import contextlib
import decimal
import gc
import importlib
import locale
import math
import operator
import os
import random
import resource
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch.nn.modules import module as nn_module

from lipbench.errors import UserError

_LONGEST = 60  # characters of a value that a message shows


@dataclass(frozen=True)
class StatePart:
    """A part of the state: how it is read, and how it is written where it can be.

    A value that is a mapping is compared key by key, and its values are not shown: they can be
    secrets.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object] | None = None


@dataclass(frozen=True)
class State:
    """The process as it was once: the value of each part, and what names stood for."""

    values: Mapping[str, Any]
    names: Mapping[object, Mapping[str, Any]]  # by module or class: its attributes
    code: Mapping[FunctionType, tuple[Any, ...]]  # of functions: see _CODE


def capture() -> State:
    """Return the state of the process now."""
    # The compiler of torch, which it imports, replaces a function of torch and sets a variable.
    importlib.import_module("torch_fidelity")
    names = _names()
    return State({part.name: _value(part) for part in STATE_PARTS}, names, _code(names))


def changes(before: State) -> list[str]:
    """Return a phrase for each part that is not as it was, e.g. "torch's threads: 1, now 2"."""
    return _changes(before, STATE_PARTS)


def _changes(before: State, parts: Sequence[StatePart]) -> list[str]:
    found = []
    for part in parts:
        was, is_ = before.values[part.name], _value(part)
        if isinstance(was, Mapping) and isinstance(is_, Mapping):
            keys = [key for key in {**was, **is_} if not _same(was.get(key), is_.get(key))]
            if keys:
                found.append(_shortened(f"{part.name}: {', '.join(map(str, keys))}"))
        elif was != is_:
            found.append(f"{part.name}: {_shortened(str(was))}, now {_shortened(str(is_))}")
    found += [f"{_title(owner)}.{name} is replaced" for owner, name in _replaced(before)]
    return found + [f"the inside of {_title(f)} is replaced" for f in _rewritten(before)]


def restore(before: State) -> list[str]:
    """Put back what has changed and can be; return a phrase for each part that cannot.

    Threads are left alone and left out: they end with the process, and change none of its state.
    """
    for owner, name in _replaced(before):
        known = before.names[owner]
        if name in known:
            setattr(owner, name, known[name])
        else:
            delattr(owner, name)
    for function in _rewritten(before):
        for name, value in zip(_CODE, before.code[function], strict=True):
            setattr(function, name, value)
    for part in STATE_PARTS:
        was = before.values[part.name]
        if part.write and not _same(was, _value(part)):
            with contextlib.suppress(OSError, RuntimeError, ValueError):  # then it is returned
                part.write(was)
    return _changes(before, [part for part in STATE_PARTS if part is not _THREADS])


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Leave the process as it was found, for plugins' code in a process that goes on.

    Raises UserError for what stays changed.
    """
    before = capture()
    try:
        yield
    finally:
        left = restore(before)
    if left:
        raise UserError(
            f"a method has changed this process for all that follows ({'; '.join(left)}); "
            "name others in a command of their own"
        )


def _value(part: StatePart) -> Any:
    try:
        return part.read()
    except (OSError, RuntimeError, AttributeError) as error:
        return f"unreadable ({type(error).__name__})"


def _same(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and one == other)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _title(owner: object) -> str:
    if isinstance(owner, (type, FunctionType)):
        return f"{owner.__module__}.{owner.__qualname__}"
    return str(getattr(owner, "__name__", owner))


# --- parts -------------------------------------------------------------------------------------


def _flag(path: str) -> StatePart:
    """Return an attribute of torch as a part."""
    parent, _, name = path.rpartition(".")
    owner = operator.attrgetter(parent)(torch)
    return StatePart(
        f"torch.{path}",
        lambda: getattr(owner, name),
        lambda value: setattr(owner, name, value),
    )


def _device() -> str:
    return str(torch.get_default_device())


def _set_device(name: str) -> None:
    torch.set_default_device(None if name == "cpu" else name)


def _deterministic() -> tuple[bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )


def _set_deterministic(value: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(value[0], warn_only=value[1])


def _autocast() -> tuple[Any, ...]:
    return tuple(
        (kind, torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind))
        for kind in ("cpu", "cuda")
    )


def _set_autocast(value: tuple[Any, ...]) -> None:
    for kind, enabled, dtype in value:
        torch.set_autocast_enabled(kind, enabled)
        torch.set_autocast_dtype(kind, dtype)


def _anomaly() -> tuple[bool, bool]:
    return torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()


def _flushes_denormals() -> bool:
    """Return whether products below the smallest normal number are 0: nothing else says so."""
    smallest = torch.tensor([sys.float_info.min], dtype=torch.float64, device="cpu")
    return not bool((smallest * 0.5).item())


def _modes() -> tuple[int, int]:
    """Return how many modes intercept torch's functions, and its operators."""
    return (
        torch._C._len_torch_function_stack(),
        torch._C._len_torch_dispatch_stack(),
    )


def _module_hooks() -> dict[str, Any]:
    """Return the hooks of all modules at once, which torch keeps under names of its own."""
    return {
        name: dict(value) if isinstance(value, dict) else value
        for name, value in vars(nn_module).items()
        if name.startswith("_global_")
    }


def _set_module_hooks(hooks: Mapping[str, Any]) -> None:
    for name, value in hooks.items():
        if isinstance(value, dict):
            current = getattr(nn_module, name)
            current.clear()
            current.update(value)
        else:
            setattr(nn_module, name, value)


def _cuda_device() -> int | None:
    return torch.cuda.current_device() if torch.cuda.is_initialized() else None


def _environment() -> dict[str, str]:
    return dict(os.environ)


def _set_environment(values: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(values)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _set_path(folders: list[str]) -> None:
    sys.path[:] = folders


def _handlers() -> dict[str, Any]:
    return {kind.name: signal.getsignal(kind) for kind in signal.Signals}


def _set_handlers(handlers: Mapping[str, Any]) -> None:
    for name, handler in handlers.items():
        kind = signal.Signals[name]
        if handler is not None and signal.getsignal(kind) is not handler:
            signal.signal(kind, handler)


def _streams() -> tuple[Any, ...]:
    return tuple(getattr(sys, name) for name in ("stdin", "stdout", "stderr"))


def _set_streams(value: tuple[Any, ...]) -> None:
    sys.stdin, sys.stdout, sys.stderr = value


def _errors_of_warnings() -> list[Any]:
    """Return the warnings that raise: others only print."""
    return [entry for entry in warnings.filters if entry[0] == "error"]


def _set_errors_of_warnings(errors: list[Any]) -> None:
    others = [entry for entry in warnings.filters if entry[0] != "error"]
    warnings.filters[:] = [*errors, *others]  # type: ignore[index]
    warnings._filters_mutated()  # type: ignore[attr-defined]


def _decimal() -> tuple[Any, ...]:
    context = decimal.getcontext()  # without its flags, which say what has happened
    return context.prec, context.rounding, tuple(context.traps.items())


def _set_decimal(value: tuple[Any, ...]) -> None:
    context = decimal.getcontext()
    context.prec, context.rounding = value[:2]
    context.traps.update(value[2])


def _saved_tensors() -> tuple[int | None, bool]:
    """Return which hooks are on what autograd keeps for the backward pass, and whether any may."""
    autograd: Any = torch._C._autograd
    top = autograd._top_saved_tensors_default_hooks(True)
    return None if top is None else id(top[0]), autograd._saved_tensors_hooks_is_enabled()


def _set_conversion(value: tuple[bool, bool]) -> None:
    torch.__future__.set_overwrite_module_params_on_conversion(value[0])
    torch.__future__.set_swap_module_params_on_conversion(value[1])


def _blocked_signals() -> frozenset[int]:
    return frozenset(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def _timers() -> tuple[bool, ...]:
    kinds = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
    return tuple(signal.getitimer(kind) != (0.0, 0.0) for kind in kinds)


def _set_timers(running: tuple[bool, ...]) -> None:
    kinds = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
    for kind, runs in zip(kinds, running, strict=True):
        if not runs:
            signal.setitimer(kind, 0)


def _limits() -> tuple[tuple[int, int], ...]:
    """Return the limits of memory, files, time and the like that the system holds this to."""
    kinds = sorted({getattr(resource, name) for name in dir(resource) if name[:7] == "RLIMIT_"})
    return tuple(resource.getrlimit(kind) for kind in kinds)


def _threads() -> dict[str, bool]:
    return {thread.name: True for thread in threading.enumerate()}


_THREADS = StatePart("threads", _threads)
_FLAGS = (
    "utils.deterministic.fill_uninitialized_memory",
    "backends.cuda.matmul.allow_tf32",
    "backends.cuda.matmul.allow_fp16_reduced_precision_reduction",
    "backends.cuda.matmul.allow_bf16_reduced_precision_reduction",
    "backends.cudnn.enabled",
    "backends.cudnn.benchmark",
    "backends.cudnn.deterministic",
    "backends.cudnn.allow_tf32",
    "backends.mkldnn.enabled",
    "backends.mkldnn.allow_tf32",
    "backends.mkldnn.deterministic",
    "backends.mkldnn.conv.fp32_precision",
    "backends.mkldnn.rnn.fp32_precision",
    "backends.quantized.engine",
    "nn.utils.parametrize._cache_enabled",
    "backends.opt_einsum.enabled",
    "backends.opt_einsum.strategy",
)

STATE_PARTS: tuple[StatePart, ...] = (
    # First what code is computed under: writing another part can be computing.
    StatePart("torch's grad mode", torch.is_grad_enabled, torch.set_grad_enabled),
    StatePart("torch's inference mode", torch.is_inference_mode_enabled),
    StatePart("torch's default device", _device, _set_device),
    StatePart("torch's modes", _modes),
    StatePart("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
    StatePart("torch's threads", torch.get_num_threads, torch.set_num_threads),
    StatePart("torch's threads between operators", torch.get_num_interop_threads),
    StatePart("torch's deterministic algorithms", _deterministic, _set_deterministic),
    StatePart(
        "torch's precision of float32 products",
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    *map(_flag, _FLAGS),
    StatePart("torch's autocast", _autocast, _set_autocast),
    StatePart(
        "torch's cache of autocast",
        torch.is_autocast_cache_enabled,
        torch.set_autocast_cache_enabled,
    ),
    StatePart("torch's anomaly mode", _anomaly, lambda v: torch.autograd.set_detect_anomaly(*v)),
    StatePart("numbers below the normal ones are 0", _flushes_denormals, torch.set_flush_denormal),
    StatePart("hooks of all modules", _module_hooks, _set_module_hooks),
    StatePart("hooks on what autograd keeps", _saved_tensors),
    StatePart(
        "autograd's threads",
        torch._C._is_multithreading_enabled,
        torch._C._set_multithreading_enabled,
    ),
    StatePart(
        "torch's way to convert parameters",
        lambda: (
            torch.__future__.get_overwrite_module_params_on_conversion(),
            torch.__future__.get_swap_module_params_on_conversion(),
        ),
        _set_conversion,
    ),
    StatePart("torch warns always", torch.is_warn_always_enabled, torch.set_warn_always),
    StatePart("the CUDA device", _cuda_device, torch.cuda.set_device),
    StatePart("numpy's handling of errors", np.geterr, lambda value: np.seterr(**value)),
    StatePart("numpy's print options", np.get_printoptions, lambda v: np.set_printoptions(**v)),
    StatePart("the current folder", os.getcwd, os.chdir),
    StatePart("environment variables", _environment, _set_environment),
    StatePart("the umask", _umask, os.umask),
    StatePart("sys.path", lambda: list(sys.path), _set_path),
    StatePart("sys.stdin, stdout, stderr", _streams, _set_streams),
    StatePart("warnings that raise", _errors_of_warnings, _set_errors_of_warnings),
    StatePart("signal handlers", _handlers, _set_handlers),
    StatePart(
        "signals that wait",
        _blocked_signals,
        lambda kinds: signal.pthread_sigmask(signal.SIG_SETMASK, kinds),
    ),
    StatePart("timers", _timers, _set_timers),
    StatePart("the system's limits", _limits),
    StatePart("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    StatePart("garbage collection", gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
    StatePart(
        "the locale",
        lambda: locale.setlocale(locale.LC_ALL),
        lambda value: locale.setlocale(locale.LC_ALL, value),
    ),
    StatePart("the decimal context", _decimal, _set_decimal),
    _THREADS,
)


# --- names -------------------------------------------------------------------------------------

_PATCHABLE = (torch, torch.nn, torch.nn.functional, torch.nn.init, torch.nn.utils, torch.optim,
              torch.nn.utils.parametrize, torch.nn.utils.parametrizations, torch.autograd,
              torch.linalg, torch.random, torch.cuda, np, np.linalg, np.random, math, random, os,
              os.path, time, builtins)  # fmt: skip
# Python and torch write these by themselves: when they are asked for first, or to count hooks.
_LAZY = frozenset(
    {
        "next_id",
        "__annotations__",
        "__annotate__",
        "__annotations_cache__",
        "__slotnames__",
        "_abc_impl",
    }
)


_MISSING = object()
_CODE = ("__code__", "__defaults__", "__kwdefaults__")


def _names() -> dict[object, dict[str, Any]]:
    """Return the attributes of modules and classes that a plugin could replace: ours, torch's."""
    own = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("lipbench") and not name.startswith("lipbench_file_")  # of users
    ]
    found: dict[object, dict[str, Any]] = {}
    parts = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith(("torch.nn.", "torch.optim.", "torch._C._nn"))
    ]
    for module in dict.fromkeys((*_PATCHABLE, *parts, *own)):
        if isinstance(module, ModuleType):
            # What is private to torch and the like can be a cache, which comes and goes.
            found[module] = {
                name: value
                for name, value in vars(module).items()
                if module in own or not name.startswith("_")
            }
            for value in found[module].values():
                if isinstance(value, type) and value.__module__.startswith(("torch", "lipbench")):
                    found[value] = dict(vars(value))
    return found


def _code(names: Mapping[object, Mapping[str, Any]]) -> dict[FunctionType, tuple[Any, ...]]:
    """Return what each of the functions in some modules and classes consists of."""
    functions = {
        value
        for attributes in names.values()
        for value in attributes.values()
        if isinstance(value, FunctionType)
    }
    return {function: _inside(function) for function in functions}


def _inside(function: FunctionType) -> tuple[Any, ...]:
    return tuple(getattr(function, name) for name in _CODE)


def _rewritten(before: State) -> list[FunctionType]:
    """Return the functions that are the same objects and do something else."""
    return [
        function
        for function, inside in before.code.items()
        if any(was is not is_ for was, is_ in zip(inside, _inside(function), strict=True))
    ]


def _replaced(before: State) -> list[tuple[Any, str]]:
    """Return the attributes that stand for other objects; of classes also those that are new.

    What a module has new is what was imported since, and replaces nothing.
    """
    found = []
    for owner, known in before.names.items():
        now = vars(owner)
        names = {**known, **now} if isinstance(owner, type) else known
        for name in names:
            was, is_ = known.get(name, _MISSING), now.get(name, _MISSING)
            if name not in _LAZY and not _stands_for_the_same(was, is_):
                found.append((owner, name))
    return found


def _stands_for_the_same(was: object, is_: object) -> bool:
    """Return whether a name's object is what it was; torch wraps optimizers' `step` by itself."""
    if was is not is_ and hasattr(is_, "hooked"):
        is_ = getattr(is_, "__wrapped__", is_)
    plain = isinstance(was, (str, int, float, tuple)) and type(was) is type(is_)
    return was is is_ or (plain and was == is_)
