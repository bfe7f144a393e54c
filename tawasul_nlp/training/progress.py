"""What a training tells of its progress, to the program that listens and to a file in the run folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger("tawasul_nlp.training")
"""Silent until the program listens, to this name or to ``tawasul_nlp``."""

LOG = "train.log"
_files: list[Path] = []


def tell(message: str, *values: object) -> None:
    """Log a line, formatted as ``logging`` does, and add it with the time to the log of the run that is going on."""
    logger.info(message, *values)
    if _files:
        message = message % values if values else message
        with _files[-1].open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {message}\n")


@contextmanager
def logged(folder: Path) -> Iterator[None]:
    """Write what is told meanwhile to the log in a run folder as well, which need not be there yet.

    The file is not a handler of the logger: that would have to be made talkative for it, and would then talk to every
    handler of the program.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _files.append(folder / LOG)
    try:
        yield
    finally:
        _files.pop()


def duration(seconds: float) -> str:
    """Return a duration as people say it.

    >>> duration(42), duration(620), duration(9000)
    ('42 s', '10 min', '2 h 30 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
