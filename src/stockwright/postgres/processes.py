"""What the operating system says of server processes: alive, zombie, left behind; and PostgreSQL's pid file.

A pid alone proves nothing: it may be a zombie or belong to another program by now. Readiness is never
decided here, only by a connection (server.py).
"""

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

# A parent must reap its children whichever object launched them, or they stay as zombies.
_children: dict[int, "subprocess.Popen[bytes]"] = {}


@dataclass(frozen=True, kw_only=True)
class PidFile:
    """What postmaster.pid says. `status` is PostgreSQL's word: starting, stopping, ready, or empty."""

    pid: int
    port: int | None
    socket_dir: Path | None
    status: str


def read_pid_file(data_dir: Path) -> PidFile | None:
    """postmaster.pid of a data folder; None when absent or not yet written."""
    try:
        lines = (data_dir / "postmaster.pid").read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return None
    lines += [""] * (8 - len(lines))
    if not lines[0].lstrip("-").isdigit():
        return None
    return PidFile(
        pid=abs(int(lines[0])),
        port=int(lines[3]) if lines[3].isdigit() else None,
        socket_dir=Path(lines[4]) if lines[4] else None,
        status=lines[7].strip(),
    )


def keep(child: "subprocess.Popen[bytes]") -> None:
    """Remembers a child, so that `reap` collects it once it has ended."""
    _children[child.pid] = child


def reap() -> None:
    """Collects ended children: without this a killed server stays in the process table as a zombie."""
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            _children.pop(pid, None)


def living_postmaster(data_dir: Path) -> int | None:
    """The pid of the server that owns this data folder; None when it is gone, a zombie, or another program."""
    reap()
    found = read_pid_file(data_dir)
    if found is None:
        return None
    command = living_command(found.pid)
    ours = command is not None and "postgres" in command and f" -D {data_dir} " in f"{command} "
    return found.pid if ours else None


def living_command(pid: int) -> str | None:
    """The command line of a process, joined by spaces; None when it is gone or a zombie."""
    return _from_proc(pid) if _has_proc() else _from_ps(pid)


def end_orphans(data_dir: Path, *, with_signal: signal.Signals) -> tuple[int, ...]:
    """Signals backends whose server was killed: they can do no more work but still hold its shared memory.

    Only where /proc exists; elsewhere they end by themselves as soon as they next wait.
    """
    commands = {pid: living_command(pid) or "" for pid in _processes_in(data_dir)}
    orphans = tuple(pid for pid, command in commands.items() if command.startswith("postgres: "))
    if any("postgres" in command for pid, command in commands.items() if pid not in orphans):
        return ()  # a postmaster lives here after all: they are its backends
    for pid in orphans:
        try:
            os.kill(pid, with_signal)
        except ProcessLookupError:
            continue  # it ended by itself meanwhile, which is what we want
    return orphans


def _has_proc() -> bool:
    return Path("/proc/self/stat").exists()


def _from_proc(pid: int) -> str | None:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else command.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")


def _from_ps(pid: int) -> str | None:
    asked = ["ps", "-o", "stat=", "-o", "args=", "-p", str(pid)]
    state, _, command = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.partition(
        " "
    )
    return None if not state or state.startswith("Z") else command.strip()


def _processes_in(folder: Path) -> tuple[int, ...]:
    """Processes whose working directory is this folder: a server and its backends work in the data folder."""
    return tuple(pid for pid in _all_pids() if _working_dir(pid) == str(folder))


def _all_pids() -> tuple[int, ...]:
    return (
        tuple(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        if _has_proc()
        else ()
    )


def _working_dir(pid: int) -> str | None:
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return None  # gone, or not ours to look at: then it is not our server's either
