"""A table that must not change while it is read, for what is written has to be of one and the same input."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tawasul_nlp.tables.errors import InputChangedError

_CLOCK = 0.02  # seconds; the clocks of file systems tick every 10 ms at the slowest


class InputFile:
    """The file that a run reads, with what its file system tells of it when the run begins.

    That is which file it is, its size, when its content was last changed, and when anything of it was. Programs can set
    the first of these times to what it was, but not the second: so a file that was overwritten and then restored, size
    and time as well, is known to have been changed. It is not on Windows, which keeps no such time; nor where a file
    system tells late or nothing of what other machines write, or a folder above the file is renamed and back.

    Parameters
    ----------
    path : str or Path
        It need not be there: whoever reads it will say so.

    Attributes
    ----------
    path : Path
        Where to read it: a symbolic link is followed only once, for it may be set to another file and back.

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
