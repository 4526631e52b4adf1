"""How much memory is left, whether one more run fits into it, and whether the lack of it has killed one."""

from collections.abc import Sequence
from pathlib import Path

GIB = 2**30
USUAL_PEAK = 2 * GIB  # bytes that a run is taken to need before one was seen to need more
LOW = GIB // 2  # bytes; with less than that, a system's services may kill processes before the kernel does
PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


class Memory:
    """Decides whether one more run fits into memory.

    Args:
        peak_gib: what a run needs at most, in GiB. None: `USUAL_PEAK`, or the largest peak seen so far.
    """

    def __init__(self, *, peak_gib: float | int | None) -> None:
        self._given = peak_gib is not None
        self.peak = USUAL_PEAK if peak_gib is None else round(peak_gib * GIB)  # of a run, in bytes
        self.free = available()
        self._oom_kills = oom_kills()

    def look(self) -> None:
        """Remembers how much is free now."""
        self.free = available()

    def shortage(self) -> str | None:
        """Evidence that a process that was just killed was killed for lack of memory; None where there is none."""
        kills = oom_kills()
        if kills is not None and self._oom_kills is not None and kills > self._oom_kills:
            self._oom_kills += 1  # each victim of the kernel explains one process
            return "the memory ran out, says the kernel"
        if self.free is not None and self.free < LOW:
            return f"most likely for lack of memory, of which {self.free / GIB:.1f} GiB were left"
        return None

    def fits(self, pids: Sequence[int]) -> bool:
        """Whether one more run can start in addition to these processes, each of which may still grow to the peak.

        One that would be alone always can: waiting would not help it.
        """
        held = [resident(pid) for pid in pids]
        if not self._given:
            self.peak = max([self.peak, *(most for _, most in held)])
        self.free = available()
        growth = sum(max(0, self.peak - now) for now, _ in held)
        return not pids or self.free is None or self.free - growth >= self.peak


def resident(pid: int, proc: Path = PROC) -> tuple[int, int]:
    """Bytes that a process holds now and held at most; zeros for one that has ended, or where it is unknown."""
    fields = _table(proc / str(pid) / "status")
    return fields.get("VmRSS:", 0) * 1024, fields.get("VmHWM:", 0) * 1024


def available(proc: Path = PROC, cgroups: Path = CGROUPS) -> int | None:
    """Bytes that can still be used: of the machine, and of every cgroup (v2 or v1) above this process that has a limit.

    None where it is unknown.
    """
    left = [kib * 1024 for name, kib in _table(proc / "meminfo").items() if name == "MemAvailable:"]
    for line in _lines(proc / "self" / "cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            left += _left_in(cgroups, path, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            left += _left_in(cgroups / "memory", path, *names)
    return min(left, default=None)


def oom_kills(proc: Path = PROC, cgroups: Path = CGROUPS) -> int | None:
    """How many processes the kernel has killed for lack of memory: in this process's cgroup, or on the machine.

    None where it is unknown.
    """
    for line in _lines(proc / "self" / "cgroup"):
        _, controllers, path = line.split(":", 2)
        name = "memory.events" if controllers == "" else "memory.oom_control"
        if controllers == "" or "memory" in controllers.split(","):
            root = cgroups if controllers == "" else cgroups / "memory"
            counted = _table(root / path.lstrip("/") / name).get("oom_kill")
            if counted is not None:
                return counted
    return _table(proc / "vmstat").get("oom_kill")


def _left_in(root: Path, path: str, limit: str, usage: str, cache: str) -> list[int]:
    """What the limits of a cgroup and of those above it leave; files that are cached there give way."""
    own = root / path.lstrip("/")
    left = []
    for folder in [own, *(above for above in own.parents if above.is_relative_to(root))]:
        most, used = _lines(folder / limit), _lines(folder / usage)
        if most and used and most[0].isdecimal():
            left.append(int(most[0]) - int(used[0]) + _table(folder / "memory.stat").get(cache, 0))
    return left


def _table(file: Path) -> dict[str, int]:
    """The lines `NAME NUMBER …` of a file."""
    rows = [line.split() for line in _lines(file)]
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdecimal()}


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
