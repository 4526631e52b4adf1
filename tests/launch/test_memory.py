"""A grid starts no run that would not fit into the memory beside those that run."""

import os
from pathlib import Path

import pytest

from marlpipe.launch import free_memory as local_memory
from marlpipe.launch.free_memory import GIB, LOW, USUAL_PEAK, Memory, available, oom_kills, resident

MIB = 2**20


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What is free, and what each process holds now and held at most, in bytes."""
    told: dict[str, object] = {"free": 10 * GIB, "held": {}}
    monkeypatch.setattr(local_memory, "available", lambda: told["free"])
    monkeypatch.setattr(local_memory, "resident", lambda pid: told["held"][pid])  # type: ignore[index]
    return told


def test_the_least_of_machine_and_limits_is_available(tmp_path: Path) -> None:
    proc = write(tmp_path / "proc", {"meminfo": "MemTotal: 9000 kB\nMemAvailable: 8000 kB\n", "self/cgroup": "0::/a/b"})
    assert available(proc, tmp_path / "none") == 8000 * 1024
    groups = write(
        tmp_path / "groups",
        {
            "a/memory.max": f"{6 * MIB}\n",
            "a/memory.current": f"{5 * MIB}\n",
            "a/memory.stat": f"anon 7\ninactive_file {2 * MIB}\n",
            "a/b/memory.max": "max\n",
            "a/b/memory.current": f"{4 * MIB}\n",
        },
    )
    assert available(proc, groups) == 3 * MIB  # 6 − 5, and 2 of cached files, of the group above ours


def test_limits_of_the_older_kind(tmp_path: Path) -> None:
    proc = write(tmp_path / "proc", {"meminfo": "MemAvailable: 8000 kB\n", "self/cgroup": "5:cpu:/x\n4:memory:/job\n"})
    groups = write(
        tmp_path / "groups",
        {
            "memory/memory.limit_in_bytes": f"{2**63 - 4096}",
            "memory/memory.usage_in_bytes": "1",
            "memory/job/memory.limit_in_bytes": f"{3 * MIB}",
            "memory/job/memory.usage_in_bytes": f"{2 * MIB}",
        },
    )
    assert available(proc, groups) == MIB


def test_a_system_that_tells_nothing(tmp_path: Path) -> None:
    assert available(tmp_path, tmp_path) is None
    assert resident(1, tmp_path) == (0, 0)


def test_what_a_process_holds_now_and_at_most(tmp_path: Path) -> None:
    proc = write(tmp_path, {"12/status": "Name:\tpython\nVmHWM:\t  300 kB\nVmRSS:\t  200 kB\n"})
    assert resident(12, proc) == (200 * 1024, 300 * 1024)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system has no /proc")
def test_this_process_holds_memory_and_leaves_some() -> None:
    now, most = resident(os.getpid())
    assert MIB < now <= most
    assert (available() or 0) > 0


def test_runs_may_still_grow(machine: dict[str, object]) -> None:
    memory = Memory(peak_gib=3.0)
    machine["held"] = {1: (3 * GIB, 3 * GIB), 2: (1 * GIB, 1 * GIB)}
    machine["free"] = 5 * GIB
    assert memory.fits([1, 2])  # 2 for the second run's growth, 3 for the new one
    machine["free"] = 5 * GIB - 1
    assert not memory.fits([1, 2])


def test_a_run_alone_always_starts(machine: dict[str, object]) -> None:
    machine["free"] = 0
    assert Memory(peak_gib=None).fits([])


def test_without_knowing_the_memory_all_start(machine: dict[str, object]) -> None:
    machine.update(free=None, held={1: (0, 0)})
    assert Memory(peak_gib=None).fits([1])


def test_the_largest_peak_is_remembered(machine: dict[str, object]) -> None:
    memory = Memory(peak_gib=None)
    assert memory.peak == USUAL_PEAK
    machine["held"] = {1: (GIB, 4 * GIB)}
    assert memory.fits([1])
    machine["held"] = {2: (GIB, GIB)}
    assert memory.fits([2])
    assert memory.peak == 4 * GIB
    machine["free"] = 7 * GIB - 1
    assert not memory.fits([2])
    given = Memory(peak_gib=0.5)
    machine["held"] = {1: (GIB, 4 * GIB)}
    assert given.fits([1])
    assert given.peak == GIB // 2


def test_what_the_kernel_has_killed(tmp_path: Path) -> None:
    proc = write(tmp_path / "proc", {"self/cgroup": "0::/a", "vmstat": "nr_free_pages 9\noom_kill 5\n"})
    assert oom_kills(proc, tmp_path / "groups") == 5
    groups = write(tmp_path / "groups", {"a/memory.events": "low 0\noom 9\noom_kill 2\noom_group_kill 0\n"})
    assert oom_kills(proc, groups) == 2
    older = write(
        tmp_path / "older", {"memory/job/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"}
    )
    assert oom_kills(write(tmp_path / "proc2", {"self/cgroup": "4:memory:/job\n"}), older) == 3
    assert oom_kills(tmp_path / "none", groups) is None


def test_lack_of_memory_is_only_blamed_on_evidence(machine: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    kills = [7]
    monkeypatch.setattr(local_memory, "oom_kills", lambda: kills[0])
    memory = Memory(peak_gib=None)
    assert memory.shortage() is None
    kills[0] = 8
    assert memory.shortage() == "the memory ran out, says the kernel"
    assert memory.shortage() is None  # one victim, one run
    machine["free"] = LOW - 1
    memory.look()
    machine["free"] = GIB  # what the killed process has left
    assert memory.shortage() == "most likely for lack of memory, of which 0.5 GiB were left"
