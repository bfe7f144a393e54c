"""The system that the library runs on: processor cores, atomic file writes, and the log."""

from __future__ import annotations

import logging
import math
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import IO

logger = logging.getLogger("tawasul_nlp")
"""Logs the loading of models; silent until the program adds a handler."""
logger.addHandler(logging.NullHandler())

THREADS = "TAWASUL_THREADS"
"""The environment variable that says how many cores to use."""


def cores(process: Path = Path("/proc/self"), mounted: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many cores this process may use.

    The value of ``TAWASUL_THREADS``; without it, as many as the process may run on, but no more than the CPU quota of
    its control groups (a container's limit), rounded up. Control groups that cannot be read impose no limit.

    Raises ValueError if ``TAWASUL_THREADS`` is not a whole number of at least 1.
    """
    setting = os.environ.get(THREADS, "").strip()
    if setting:
        if not setting.isdecimal() or int(setting) < 1:
            raise ValueError(f"{THREADS} is {setting!r}, expected a whole number, at least 1")
        return int(setting)
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        allowed = os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, _quota(process, mounted))))


def machine() -> str:
    """Describe the processor, the number of cores and Python."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _quota(process: Path, mounted: Path) -> float:
    """Return the CPU quota of a process's control groups and of their parents, in cores; infinity without a limit."""
    try:
        groups = [line.split(":", 2) for line in (process / "cgroup").read_text().splitlines()]
    except OSError:  # not Linux, or not available
        return math.inf
    least = math.inf
    for _, controllers, path in (group for group in groups if len(group) == 3):
        version_1 = "cpu" in controllers.split(",")
        if controllers and not version_1:
            continue
        folder = mounted / "cpu" if version_1 else mounted  # with others too, a link leads there
        # A container may see its group's path from the outside, while the group itself is mounted: folders that are not
        # there impose nothing.
        for parts in accumulate(("", *Path(path).parts[1:]), os.path.join):
            least = min(least, _quota_of(folder / parts, version_1))
    return least


def _quota_of(folder: Path, version_1: bool) -> float:
    """Return the quota of one control group in cores: a number of µs in each period; "max" or -1 mean no limit."""
    try:
        if version_1:
            quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
            return quota / period if quota >= 0 else math.inf
        share, period_2 = (folder / "cpu.max").read_text().split()
        return math.inf if share == "max" else int(share) / int(period_2)
    except (OSError, ValueError, ZeroDivisionError):  # missing, as in the root group, or unreadable
        return math.inf


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Write a file atomically: yield a temporary name beside ``path``, and rename it when the block ends.

    Even if the process is killed or the power fails, ``path`` is either the old file or the complete new one.
    """
    unfinished = path.with_name(f"{path.name}.partial")
    try:
        yield unfinished
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def reserve(file: IO[bytes], size: int) -> None:
    """Give a new file room on the disk; OSError if there is none."""
    if sys.platform == "linux":
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.write(bytes(size))
        file.flush()


def sync_folder(folder: Path) -> None:
    """Force a folder's entries to disk; Windows, where folders cannot be opened, does so by itself."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
