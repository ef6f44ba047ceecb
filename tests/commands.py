"""Commands of `stockwright` for tests, each in a process forked from one that has imported everything.

A command of its own (`python -m stockwright`) imports for a second before it begins; the suite runs hundreds.
The tests of the demo and of `serve` start the real one.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

_LIMIT_S = 60.0
_FORKED = multiprocessing.get_context("forkserver")
_FORKED.set_forkserver_preload(["stockwright.cli"])


def run_command(
    *arguments: str, env: Mapping[str, str], cwd: Path, limit_s: float = _LIMIT_S
) -> "subprocess.CompletedProcess[str]":
    """Run `stockwright ARGUMENTS`, without standard input, and wait for its end.

    Raises:
        TimeoutError: it had to be killed.
    """
    with tempfile.TemporaryDirectory(prefix="sw-command-") as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        process = _FORKED.Process(target=_main, args=(arguments, dict(env), str(cwd), str(out), str(err)))
        process.start()
        process.join(limit_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"stockwright {' '.join(arguments)} did not end in {limit_s} s")
        return subprocess.CompletedProcess(
            ["stockwright", *arguments], process.exitcode, out.read_text(), err.read_text()
        )


def _main(arguments: tuple[str, ...], env: dict[str, str], cwd: str, out: str, err: str) -> None:
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    for stream, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, out, os.O_WRONLY | os.O_CREAT),
        (2, err, os.O_WRONLY | os.O_CREAT),
    ):
        opened = os.open(path, flags)
        os.dup2(opened, stream)
        os.close(opened)
    from stockwright.cli import main

    sys.exit(main(arguments))
