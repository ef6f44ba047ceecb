"""The machine that figures were taken on, and what else kept it busy. Reads only."""

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from stockwright.postgres.binaries import installed_folder

_GIB = 1024**3


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a reader needs to judge a figure."""

    cpu: str
    cores: int  # that this process may use
    memory_gib: float
    system: str
    python: str
    postgresql: str  # version, of the embedded server

    def __str__(self) -> str:
        return (
            f"{self.cpu}, {self.cores} cores, {self.memory_gib:.1f} GiB, {self.system}; "
            f"Python {self.python}, PostgreSQL {self.postgresql}"
        )


def this_machine() -> Machine:
    """The machine that this runs on."""
    return Machine(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        postgresql=_postgresql(),
    )


def _cpu() -> str:
    listing = Path("/proc/cpuinfo")
    if not listing.exists():
        return _said("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()
    names = [
        line.partition(":")[2].strip() for line in listing.read_text().splitlines() if "model name" in line
    ]
    return names[0] if names else platform.machine()


def _postgresql() -> str:
    return _said(str(installed_folder() / "bin" / "postgres"), "--version").rpartition(" ")[2]


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


@dataclass(frozen=True, kw_only=True)
class Moment:
    """When a figure was taken, and how busy the machine was just before."""

    at: str  # ISO 8601, UTC
    load_1min: float

    @classmethod
    def now(cls) -> "Moment":
        """This moment."""
        return cls(at=datetime.now(UTC).isoformat(timespec="seconds"), load_1min=round(os.getloadavg()[0], 2))
