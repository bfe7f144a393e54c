"""Progress of a command, shown on a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

    from tawasul_nlp.prediction import Prediction
    from tawasul_nlp.tables import Step

# A chunk takes seconds, and the remaining time is estimated from the last minutes.
_SPEED_SECONDS = 600.0


@contextmanager
def progress(quiet: bool) -> Iterator[Callable[[str, float], None]]:
    """Show the share of the work done; yield the function that updates it."""
    from rich.progress import TimeElapsedColumn

    with _bar(quiet, TimeElapsedColumn()) as bar:
        task = bar.add_task("loading", total=1.0)
        yield lambda doing, share: bar.update(task, description=doing, completed=share)


class ClassifyProgress:
    """Shows how far a table is classified, and how fast; keeps the first rows for the end."""

    def __init__(self, keep: int, *, quiet: bool) -> None:
        from rich.progress import TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self.kept: list[tuple[dict[str, Any], Prediction]] = []
        self._keep = keep
        rows = TextColumn("{task.fields[rows]}")
        self._bar = _bar(quiet, rows, TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        self._task = self._bar.add_task("classifying", total=1.0, rows="")
        self._began = time.monotonic()
        self._before = 0

    def __enter__(self) -> ClassifyProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def see(self, step: Step) -> None:
        """Show a step."""
        if step.chunk is None:  # rows of an earlier run say nothing about this one's speed
            self._before = step.rows_read
            self._bar.reset(self._task, completed=0, total=1.0, rows=f"resuming after {step.rows_read:,} rows")
            self._bar.update(self._task, completed=step.fraction_read)
            return
        rate = (step.rows_read - self._before) / max(time.monotonic() - self._began, 1e-9)
        rows = f"{step.rows_read:,} rows, {rate:,.{0 if rate >= 10 else 1}f} rows/s"
        self._bar.update(self._task, completed=step.fraction_read, rows=rows)
        missing = self._keep - len(self.kept)
        if missing > 0:
            self.kept += islice(zip(step.chunk.records(), step.predictions, strict=True), missing)


def _bar(quiet: bool, *columns: ProgressColumn) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn

    console = Console(stderr=True)
    return Progress(
        SpinnerColumn(),  # shows activity while the model loads and a chunk is classified
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        *columns,
        console=console,
        transient=True,
        speed_estimate_period=_SPEED_SECONDS,
        disable=quiet or not console.is_terminal,
    )
