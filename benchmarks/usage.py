"""How much memory processes take, from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
KB_PER_MB: Final = 1_024


@dataclass(frozen=True, slots=True)
class Usage:
    """Memory of one process; PSS shares out what several processes map."""

    rss_mb: float
    pss_mb: float | None  # None where the kernel does not tell
    shared_mb: float = 0.0  # of the PSS: memory made to be shared, as PostgreSQL's buffers


def usage(pid: int) -> Usage:
    """Return what the process takes now.

    Raises:
        FileNotFoundError: it has ended.
    """
    status = _numbers(PROC / str(pid) / "status")
    try:
        shares = _numbers(PROC / str(pid) / "smaps_rollup")
    except PermissionError:
        shares = {}
    pss = shares.get("Pss")
    return Usage(_mb(status.get("VmRSS", 0)), None if pss is None else _mb(pss), _mb(shares.get("Pss_Shmem", 0)))


def rss_mb(pid: int) -> float:
    """Return the resident memory of one process."""
    return usage(pid).rss_mb


def processor_s(pid: int) -> float:
    """Return the processor time the process has used.

    Raises:
        FileNotFoundError: it has ended.
    """
    fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descendants(pid: int) -> list[int]:
    """Return the process and everything it started, directly or not."""
    families = _families()
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting += families.get(found[-1], [])
    return found


def children(pid: int) -> list[int]:
    """Return what the process itself started."""
    return _families().get(pid, [])


def _families() -> dict[int, list[int]]:
    families: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (parent := _parent(int(entry.name))) is not None:
            families.setdefault(parent, []).append(int(entry.name))
    return families


def command_line(pid: int) -> str:
    """Return how a process was started, "" once it has ended."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def variable(pid: int, name: str) -> str:
    """Return an environment variable of a process, "" where it has none or may not be read."""
    try:
        pairs = (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    prefix = os.fsencode(f"{name}=")
    return next((pair[len(prefix) :].decode() for pair in pairs if pair.startswith(prefix)), "")


def _parent(pid: int) -> int | None:
    try:
        return int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _numbers(path: Path) -> dict[str, int]:
    rows = (line.split(":", 1) for line in path.read_text().splitlines() if line.endswith(" kB"))
    return {name: int(value.split()[0]) for name, value in rows}


def _mb(kb: int) -> float:
    return round(kb / KB_PER_MB, 1)
