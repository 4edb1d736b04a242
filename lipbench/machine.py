"""What this machine allots to the process: cores, and whether the kernel ended one for memory.

A container or a batch system allots by control groups (cgroups, versions 1 and 2), which only
Linux has. `root` is the file system's root; a test gives another.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path, PurePosixPath

ROOT = Path("/")


def cores(root: Path = ROOT) -> int:
    """Return how many cores this process may use: at least 1.

    That is its affinity, or the CPU quota of its cgroup or of one above it, rounded down, where
    that is less.
    """
    if hasattr(os, "sched_getaffinity"):
        allotted = float(len(os.sched_getaffinity(0)))
    else:
        allotted = float(os.cpu_count() or 1)
    quotas = [_quota(folder) for mount in _cgroups("cpu", root) for folder in mount]
    return max(1, int(min([allotted, *(quota for quota in quotas if quota is not None)])))


def processor() -> str:
    """Return what the CPU is called."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def oom_kills(root: Path = ROOT) -> int | None:
    """Return how many processes of this one's cgroup were killed since memory ran out.

    None where no cgroup counts them.
    """
    for own, *_ in _cgroups("memory", root):
        for name in ("memory.events", "memory.oom_control"):  # of version 2, of version 1
            for line in (_read(own / name) or "").splitlines():
                key, _, value = line.partition(" ")
                if key == "oom_kill":
                    return int(value)
    return None


def _quota(folder: Path) -> float | None:
    """Return the cores that a cgroup may use, or None where it has no limit."""
    if text := _read(folder / "cpu.max"):  # version 2: "150000 100000", or "max 100000"
        quota, period = text.split()
    else:
        quota = (_read(folder / "cpu.cfs_quota_us") or "-1").strip()
        period = (_read(folder / "cpu.cfs_period_us") or "0").strip()
    limited = quota not in ("max", "-1") and int(period) > 0
    return int(quota) / int(period) if limited else None


def _cgroups(controller: str, root: Path) -> list[list[Path]]:
    """Return the folders of this process's cgroups, its own first and then those above it.

    One list for each mounted hierarchy that can have the controller. See cgroups(7) and proc(5).
    """
    paths = {}  # by controller; "" is version 2's
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        paths.update(dict.fromkeys(controllers.split(","), path))
    found = []
    for line in (_read(root / "proc/self/mountinfo") or "").splitlines():
        mount, _, filesystem = line.partition(" - ")
        kind, _, options = filesystem.split(" ", 2)
        if kind == "cgroup2" and "" in paths:
            path = paths[""]
        elif kind == "cgroup" and controller in options.split(",") and controller in paths:
            path = paths[controller]
        else:
            continue
        top, point = (PurePosixPath(_unescaped(field)) for field in mount.split(" ")[3:5])
        # A container can see its cgroup's folder as the mount's root, and its path as the host's.
        inside = PurePosixPath(path)
        below = inside.relative_to(top) if inside.is_relative_to(top) else PurePosixPath()
        if ".." in below.parts:
            below = PurePosixPath()
        here = root / point.relative_to("/")
        found.append([here / below, *(here / above for above in below.parents)])
    return found


def _unescaped(field: str) -> str:
    """Return a field of mountinfo with spaces and the like, which it has as octal numbers."""
    for code in ("040", "011", "012", "134"):
        field = field.replace(f"\\{code}", chr(int(code, 8)))
    return field


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return None
