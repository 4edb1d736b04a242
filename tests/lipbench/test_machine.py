"""What a machine allots, read from folders that look as Linux's do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lipbench import machine

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "32 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the affinity be eight cores, on any system."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.fixture
def root(tmp_path: Path):
    """Return a function that writes files under a root, and returns the root."""

    def root(**files: str) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return root


def of_version_2(path: str, **files: str) -> dict[str, str]:
    under = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    return {"proc/self/cgroup": f"0::{path}\n", "proc/self/mountinfo": V2, **under}


def of_version_1(path: str, **files: str) -> dict[str, str]:
    under = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    own = f"5:cpu,cpuacct:{path}\n4:memory:{path}\n1:name=systemd:/x\n"
    return {"proc/self/cgroup": own, "proc/self/mountinfo": V1, **under}


def test_without_cgroups_the_affinity_counts(root):
    assert machine.cores(root()) == 8


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("350000 100000", 3),
        ("50000 100000", 1),
        ("1600000 100000", 8),
    ],
)
def test_a_quota_below_the_affinity_counts_rounded_down_and_at_least_one(root, quota, cores):
    assert machine.cores(root(**of_version_2("/job", **{"job/cpu.max": quota}))) == cores


def test_the_least_quota_of_all_cgroups_above_counts(root):
    files = {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000", "cpu.max": "max 100000"}
    assert machine.cores(root(**of_version_2("/a/b", **files))) == 3


def test_a_container_sees_its_cgroup_as_the_mounts_root(root):
    files = of_version_2("/docker/1f", **{"cpu.max": "400000 100000"})
    files["proc/self/mountinfo"] = V2.replace("0:26 / ", "0:26 /docker/1f ")
    assert machine.cores(root(**files)) == 4


def test_a_cgroup_outside_of_the_namespace_is_that_of_the_mount(root):
    files = of_version_2("/../other", **{"cpu.max": "400000 100000"})
    assert machine.cores(root(**files)) == 4


@pytest.mark.parametrize(("quota", "cores"), [("-1", 8), ("250000", 2)])
def test_version_1_has_quota_and_period_in_files_of_their_own(root, quota, cores):
    files = {"job/cpu.cfs_quota_us": quota + "\n", "job/cpu.cfs_period_us": "100000\n"}
    under = {f"cpu,cpuacct/{name}": text for name, text in files.items()}
    assert machine.cores(root(**of_version_1("/job", **under))) == cores


def test_kills_for_memory_are_those_of_the_own_cgroup(root):
    events = {
        "job/memory.events": "low 0\nmax 12\noom 3\noom_kill 2\n",
        "memory.events": "oom_kill 9\n",
    }
    assert machine.oom_kills(root(**of_version_2("/job", **events))) == 2


def test_version_1_counts_kills_for_memory_too(root):
    control = {"memory/job/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n"}
    assert machine.oom_kills(root(**of_version_1("/job", **control))) == 5


def test_kills_that_nobody_counts_are_not_known(root):
    assert machine.oom_kills(root()) is None
    assert machine.oom_kills(root(**of_version_2("/job"))) is None


def test_this_machine_can_be_read():
    assert 1 <= machine.cores() <= 8
