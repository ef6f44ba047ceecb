"""Memory and processor time of processes, as Linux counts them in /proc."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What a process holds. PSS counts a page that n processes share as 1/n: it may be summed."""

    pss_mb: float
    rss_mb: float


def memory(pid: int) -> Memory:
    """The memory of a process, in MB of 10**6 bytes.

    Raises:
        OSError: it has ended, or this system has no /proc.
    """
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = {name: int(kib) * 1024 / 1e6 for name, kib in re.findall(r"^(Pss|Rss):\s+(\d+) kB", text, re.M)}
    return Memory(pss_mb=found["Pss"], rss_mb=found["Rss"])


def cpu_s(pids: Iterable[int]) -> float:
    """Processor seconds that these processes, and their ended children, have used so far."""
    return sum(_ticks(pid) for pid in pids) / _TICKS_PER_S


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15])
