"""Read what training takes of a machine besides time: memory and energy."""

from __future__ import annotations

import ctypes
import importlib
from pathlib import Path
from typing import Any, ClassVar

import torch


class Gauge:
    """One number about a stretch of training, and how the numbers of two stretches join.

    `settle` forgets what other work left behind, `start` begins a stretch, and `read` tells of it
    since then: None where this machine does not give the number, never a zero in its place.
    """

    name: ClassVar[str]

    def settle(self) -> None:
        """Forget what other work of this process left behind."""

    def start(self) -> None:
        """Begin a stretch."""
        raise NotImplementedError

    def read(self) -> float | None:
        """Return the number since the start, or None."""
        raise NotImplementedError

    def join(self, earlier: float, later: float) -> float:
        """Return the number of two stretches together."""
        raise NotImplementedError


class PeakResident(Gauge):
    """The process's largest resident memory in bytes, the high-water mark that Linux keeps.

    It holds the interpreter, torch, the data and, from the first scoring on, the feature
    extractor: what a method takes is a difference between runs. None where the mark cannot be
    reset: other systems, and containers that forbid it.
    """

    name = "peak_resident_bytes"

    def __init__(self, process: Path = Path("/proc/self")) -> None:
        self._process = process
        self._is_reset = False

    def settle(self) -> None:
        """Return freed memory to the system.

        Workers ask glibc to keep it, so the mark would tell of the largest run, or scoring, that
        the process ever did.
        """
        if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
            trim(0)

    def start(self) -> None:
        """Reset the mark to what is resident now."""
        try:
            (self._process / "clear_refs").write_text("5")  # proc(5): "5" resets the mark
            self._is_reset = True
        except OSError:
            self._is_reset = False

    def read(self) -> float | None:
        """Return the mark in bytes."""
        if not self._is_reset:
            return None
        for line in (self._process / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024.0 * int(line.split()[1])
        return None

    def join(self, earlier: float, later: float) -> float:
        """Return the higher mark."""
        return max(earlier, later)


class PeakDevice(Gauge):
    """The most memory of a GPU that this process's tensors took at once, in bytes.

    What torch's allocator handed out, not what it holds in reserve, and without the context of
    CUDA. The data, and from the first scoring on the feature extractor, are on the GPU too.
    """

    name = "peak_device_bytes"

    def __init__(self, device: torch.device, cuda: Any = torch.cuda) -> None:
        self._device, self._cuda = device, cuda

    def start(self) -> None:
        """Reset the peak to what is allocated now."""
        self._cuda.reset_peak_memory_stats(self._device)

    def read(self) -> float | None:
        """Return the peak in bytes."""
        return float(self._cuda.max_memory_allocated(self._device))

    def allocated(self) -> int:
        """Return the bytes that tensors take now."""
        return int(self._cuda.memory_allocated(self._device))

    def join(self, earlier: float, later: float) -> float:
        """Return the higher peak."""
        return max(earlier, later)


class Energy(Gauge):
    """The joules that a GPU took, by NVML's counter of its total energy.

    The counter is the whole device's: what other processes do on it is counted too. It moves in
    steps, so a stretch should last a second or more. None without the extra `energy`
    (nvidia-ml-py), and for a device that keeps no such counter: older ones, parts of a GPU (MIG).
    """

    name = "energy_joules"

    def __init__(self, device: torch.device, cuda: Any = torch.cuda, nvml: Any = None) -> None:
        self._nvml = nvml or _nvml()
        self._handle: Any = None
        self._millijoules: int | None = None
        if self._nvml:
            try:
                self._nvml.nvmlInit()
                # By its UUID: NVML numbers GPUs without regard to CUDA_VISIBLE_DEVICES.
                uuid = f"GPU-{cuda.get_device_properties(device).uuid}"
                self._handle = self._nvml.nvmlDeviceGetHandleByUUID(uuid)
            except self._nvml.NVMLError:
                self._handle = None

    def start(self) -> None:
        """Note the counter."""
        self._millijoules = self._counter()

    def read(self) -> float | None:
        """Return the joules since the start."""
        now = self._counter()
        if now is None or self._millijoules is None:
            return None
        return (now - self._millijoules) / 1000

    def join(self, earlier: float, later: float) -> float:
        """Return the sum."""
        return earlier + later

    def _counter(self) -> int | None:
        if self._handle is None:
            return None
        try:
            return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))
        except self._nvml.NVMLError:
            return None


def _nvml() -> Any:
    try:
        return importlib.import_module("pynvml")
    except ImportError:
        return None


def of(device: torch.device) -> list[Gauge]:
    """Return the gauges of a process that trains on a device."""
    if device.type != "cuda":
        return [PeakResident()]
    return [PeakResident(), PeakDevice(device), Energy(device)]
