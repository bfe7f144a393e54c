"""Processes that are measured: what memory they take, what they print, what they answer by line or over HTTP."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def peak_kb(process: int | str = "self") -> int:
    """Return the most memory that a process has had in RAM, in kilobytes, by Linux's count.

    ``getrusage`` is not asked: its peak begins with that of the process which started this one.

    Raises
    ------
    FileNotFoundError, ProcessLookupError
        If there is no such process any more.

    Examples
    --------
    >>> peak_kb() > 1_000
    True
    """
    return _memory_kb(process, "VmHWM")


def memory_kb(process: int | str = "self") -> int:
    """Return the memory that a process has in RAM now, in kilobytes; errors are those of :func:`peak_kb`.

    Examples
    --------
    >>> 1_000 < memory_kb() <= peak_kb()
    True
    """
    return _memory_kb(process, "VmRSS")


def _memory_kb(process: int | str, name: str) -> int:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise ProcessLookupError(f"process {process} has ended")


def peaks_of(pid: int) -> dict[str, int]:
    """Return the peaks of resident memory, in kilobytes, of a process and its children."""
    found = {}
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (str(pid), *children):
            found[one] = peak_kb(one)
    except (FileNotFoundError, ProcessLookupError):
        pass  # it has just ended
    return found


@dataclass(frozen=True, slots=True)
class Watched:
    """What a process did: the lines it printed, its seconds, and the peaks in kilobytes of it and of its children."""

    lines: list[str]
    seconds: float
    peak_kb: int
    children_kb: dict[str, int]


def watch(
    command: Sequence[str], while_it_runs: Callable[[subprocess.Popen[str]], None] = lambda process: None
) -> Watched:
    """Run a process to its end.

    Parameters
    ----------
    command : sequence of str
    while_it_runs : callable
        Called with the process time and again; if it kills it, that is its end.

    Raises
    ------
    RuntimeError
        If the process fails.
    """
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peaks: dict[str, int] = {}
    while process.poll() is None:
        peaks |= peaks_of(process.pid)
        while_it_runs(process)
        time.sleep(0.01)
    assert process.stdout is not None
    lines = process.stdout.read().splitlines()
    if process.returncode > 0:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    own = peaks.pop(str(process.pid), 0)
    return Watched(lines, time.perf_counter() - began, own, peaks)


def python_with(environment: Path, *pip_arguments: str) -> Path:
    """Return the interpreter of an environment, which is made if it is not there."""
    python = environment / "bin" / "python"
    if not python.exists():
        venv.create(environment, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *pip_arguments], check=True)
    return python


@contextmanager
def answering(
    command: Sequence[str | Path], environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a process that answers every line with a line, until the block ends."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.wait(timeout=60)


def ask(process: subprocess.Popen[str], line: str) -> Any:
    """Send a process a line and return its answer, a line of JSON."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError("the process ended without an answer; its error is on standard error")
    return json.loads(answer)


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep so many cores busy."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


@dataclass(frozen=True, slots=True)
class Served:
    """A service that runs: its address, its process, and the file of its log."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def serving(log: Path, *options: str, environment: Mapping[str, str] | None = None) -> Iterator[Served]:
    """Run ``tawasul serve`` on a free port of this machine until the block ends.

    Raises
    ------
    RuntimeError
        If it ends before it answers, or with an error.
    """
    command = [sys.executable, "-m", "tawasul_nlp", "serve", "--port", "0", *options]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stderr=file, env={**os.environ, **(environment or {})})
    try:
        while (found := re.search(r"running on (http://[\d.:]+)", log.read_text(encoding="utf-8"))) is None:
            if process.poll() is not None:
                raise RuntimeError(f"the service ended with {process.returncode}: {log.read_text(encoding='utf-8')}")
            time.sleep(0.05)
        yield Served(found[1], process, log)
    finally:
        process.terminate()
        process.wait()
