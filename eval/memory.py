"""The peak memory of a process."""

from __future__ import annotations

from pathlib import Path


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
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise ProcessLookupError(f"process {process} has ended")
