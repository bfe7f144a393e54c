"""Detect changes of a table while it is read: an output must be of one and the same input."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tawasul_nlp.tables.errors import InputChangedError

_CLOCK = 0.02  # seconds; the clocks of file systems tick every 10 ms at the slowest


class InputFile:
    """The file that a run reads, as it is when the run begins.

    That is which file it is, its size, and the times of the last change of its content and of anything else. Programs
    can restore the first of these times, but not the second: so a file that was overwritten and restored, with size and
    time, is known to have been changed. That is not noticed on Windows, which has no such time, where a file system
    reports other machines' writes late or never, or when a folder above the file is renamed and renamed back.

    Parameters
    ----------
    path : str or Path
        It need not exist; reading it reports that.

    Attributes
    ----------
    path : Path
        Where to read it. A symbolic link is followed only once, since it may be set to another file and back.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     source = InputFile(file.name)
    ...     source.check()
    ...     _ = Path(file.name).write_text("نص")
    ...     source.check()
    Traceback (most recent call last):
    ...
    tawasul_nlp.tables.errors.InputChangedError: ...
    """

    def __init__(self, path: str | Path) -> None:
        given = Path(path)
        resolved = given.resolve()
        self.path = given if given.absolute() == resolved else resolved
        self._stamp = self._read_stamp()
        if self._stamp is not None and abs(time.time() - self._stamp[-1] / 1e9) < _CLOCK:
            time.sleep(_CLOCK)  # or a change within the same tick of the clock would have the same time
            self._stamp = self._read_stamp()

    def check(self) -> None:
        """Raise :class:`~tawasul_nlp.tables.errors.InputChangedError` if the file has been changed since."""
        if self._read_stamp() != self._stamp:
            raise InputChangedError(self.path)

    def _read_stamp(self) -> tuple[int, ...] | None:
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
