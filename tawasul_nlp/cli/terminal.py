"""What the commands read from standard input, and show on a terminal: errors, progress, exit codes."""

from __future__ import annotations

import codecs
import io
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

    from tawasul_nlp.tables import BatchReport, GroupReport
    from tawasul_nlp.tables.run.pipeline import Step

EXIT_FAILED = 1
EXIT_REJECTS = 3
EXIT_INTERRUPTED = 130

# A chunk takes seconds, and the remaining time is estimated from the last minutes.
_SPEED_SECONDS = 600.0
_BREAKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


class InterruptedCommand(Exception):
    """A command was interrupted; the message says which part of its work is kept."""


@contextmanager
def report_interrupts(otherwise: str = "nothing was written") -> Iterator[None]:
    """Report after Ctrl-C what is kept: the notes of the interrupt, or else `otherwise`."""
    try:
        yield
    except KeyboardInterrupt as error:
        notes = getattr(error, "__notes__", None) or [otherwise]
        raise InterruptedCommand("; ".join(["interrupted", *notes])) from None


def text_or_input(text: str | None) -> str:
    """Return the given text, or all of standard input."""
    return _decoded(_standard_input().read()) if text is None or text == "-" else text


def lines_or_input(text: str | None) -> Iterator[str]:
    """Yield the given text, or the lines of standard input.

    Each line is decoded by itself, since it is processed before the next one arrives.
    """
    if text is not None and text != "-":
        yield text
    else:
        for line in _standard_input():
            yield _decoded(line).rstrip("\r\n")


def _standard_input() -> TextIO:
    """Return standard input, set to UTF-16 if it begins with its byte-order mark."""
    stream = sys.stdin
    if isinstance(stream, io.TextIOWrapper) and isinstance(stream.buffer, io.BufferedReader):
        start = stream.buffer.peek(2)
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            stream.reconfigure(encoding="utf-16", errors="strict")
    return stream


def _decoded(text: str) -> str:
    """Return the content of standard input, decoded by the rule for tables."""
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes that are not UTF-8 were read as lone surrogates
        from tawasul_nlp.tables.io.text_file import sniff_encoding

        data = text.encode("utf-8", "surrogateescape")
        return data.decode(sniff_encoding(io.BytesIO(data)), "surrogateescape")
    return text


def complain(message: str, level: str = "error") -> None:
    """Print an error or a warning on standard error: one line without control characters."""
    print(f"tawasul: {level}: {one_line(message)}", file=sys.stderr)  # noqa: T201


def one_line(text: str) -> str:
    """Return a text on one line, without control characters, which would let it control the terminal."""
    return _BREAKS.sub(" ", text).strip()


def console() -> Console:
    """Return a console for the summary of a command, without markup."""
    from rich.console import Console

    screen = Console(markup=False, emoji=False)
    if not screen.is_terminal:
        screen.width = 120  # a log has no width; names should not be cut
    return screen


def print_json(value: object) -> None:
    """Print a value as JSON, with Arabic as it is."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print names and values as a table of two columns."""
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in facts:
        table.add_row(name, value)
    console().print(table)


def exit_on_rejects(report: BatchReport | GroupReport, rejects: Path | None) -> None:
    """Report the number of rejected rows, and in which file they are, and exit with their code, if any."""
    if report.rows_rejected:
        lost = f"{report.rows_rejected} of {report.rows_read} rows could not be read"
        complain(f"{lost}; {f'see {rejects}' if rejects else 'name --rejects FILE to keep them'}", "warning")
        raise typer.Exit(EXIT_REJECTS)


@contextmanager
def progress(quiet: bool) -> Iterator[Callable[[str, float], None]]:
    """Show the share of the work done; yield the function that updates it."""
    from rich.progress import TimeElapsedColumn

    with _bar(quiet, TimeElapsedColumn()) as bar:
        task = bar.add_task("loading", total=1.0)
        yield lambda doing, share: bar.update(task, description=doing, completed=share)


class ClassifyProgress:
    """Shows how far a table is classified, and how fast."""

    def __init__(self, *, quiet: bool) -> None:
        from rich.progress import TextColumn, TimeElapsedColumn, TimeRemainingColumn

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

    def update(self, step: Step) -> None:
        """Show a step."""
        if step.resumed:  # rows of an earlier run say nothing about this one's speed
            self._before = step.rows_read
            self._bar.reset(self._task, completed=0, total=1.0, rows=f"resuming after {step.rows_read:,} rows")
            self._bar.update(self._task, completed=step.fraction_read)
            return
        rate = (step.rows_read - self._before) / max(time.monotonic() - self._began, 1e-9)
        rows = f"{step.rows_read:,} rows, {rate:,.{0 if rate >= 10 else 1}f} rows/s"
        self._bar.update(self._task, completed=step.fraction_read, rows=rows)


def _bar(quiet: bool, *columns: ProgressColumn) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn

    console = Console(stderr=True)
    console.quiet = quiet or not console.is_terminal  # a disabled bar of rich before 15 ends with an empty line
    return Progress(
        SpinnerColumn(),  # shows activity while the model loads and a chunk is classified
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        *columns,
        console=console,
        transient=True,
        speed_estimate_period=_SPEED_SECONDS,
        disable=console.quiet,
    )
