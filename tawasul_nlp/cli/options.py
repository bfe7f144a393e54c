"""Options, exit codes and error output that the commands share."""

from __future__ import annotations

import codecs
import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from tawasul_nlp.domain import Domain
    from tawasul_nlp.tables import BatchReport, GroupReport

EXIT_FAILED = 1
EXIT_REJECTS = 3
EXIT_INTERRUPTED = 130

_BREAKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


class InterruptedCommand(Exception):
    """A command was interrupted; the message says which part of its work is kept."""


@contextmanager
def interrupts_told(otherwise: str = "nothing was written") -> Iterator[None]:
    """Report after Ctrl-C what is kept: the notes of the interrupt, or else `otherwise`."""
    try:
        yield
    except KeyboardInterrupt as error:
        kept = getattr(error, "__notes__", None) or [otherwise]
        raise InterruptedCommand("; ".join(["interrupted", *kept])) from None


Text = Annotated[
    str | None,
    typer.Argument(metavar="TEXT", help="The text; - or nothing for standard input: UTF-8, windows-1256 or UTF-16."),
]
Model = Annotated[str | None, typer.Option(metavar="MODEL", help="Model folder or Hub id [default: the bundled model]")]
DomainFolder = Annotated[
    Path | None,
    typer.Option(
        "--domain", metavar="FOLDER", help="Pack of another country [default: the model's own, or else Bahrain's]"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TargetErrors = Annotated[
    str | None,
    typer.Option(
        "--target-error",
        metavar="SHARE",
        help="Acceptable share of errors among answers that need no review: 0.03, by task topic=0.05,agency=0.02 "
        "[default: 0.05]",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no summary.")]


def domain_of(folder: Path | None) -> Domain | None:
    """Return the pack that an option names."""
    from tawasul_nlp.domain import Domain

    return None if folder is None else Domain.load(folder)


def target_error(given: str | None) -> float | dict[str, float]:
    """Return the target error that an option names, or that of each task.

    >>> target_error("0.03"), target_error("topic=0.05, agency=0.02"), target_error(None)
    (0.03, {'topic': 0.05, 'agency': 0.02}, 0.05)
    """
    if given is None:
        return 0.05
    refused = typer.BadParameter(
        f"got {given!r}, expected 0.03, or topic=0.05,agency=0.02", param_hint="--target-error"
    )
    errors: dict[str, float] = {}
    try:
        if "=" not in given:
            return float(given)
        for item in given.split(","):
            task, _, share = item.rpartition("=")
            if task.strip() in errors:
                raise refused
            errors[task.strip()] = float(share)
    except ValueError:
        raise refused from None
    return errors


def check_model_apart(model: str | None, **outputs: str | Path | None) -> None:
    """Raise :class:`~tawasul_nlp.tables.TableError` if an output is a file of the model in use."""
    from tawasul_nlp.tables.io.files import check_apart

    if model is not None and Path(model).is_dir():
        written = {name: Path(path) for name, path in outputs.items() if path not in (None, "-")}
        check_apart(Path(model).iterdir(), written)


def whole(text: str | None) -> str:
    """Return the given text, or all of standard input."""
    return _decoded(_standard_input().read()) if text is None or text == "-" else text


def lines(text: str | None) -> Iterator[str]:
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
    """Return the content of standard input, decoded as windows-1256 if the rule for tables says so."""
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes that are not UTF-8 were read as lone surrogates
        from tawasul_nlp.tables.io.text_file import sniff_encoding

        data = text.encode("utf-8", "surrogateescape")
        if sniff_encoding(io.BytesIO(data)).codec == "cp1256":
            return data.decode("cp1256")
    return text


def complain(message: str, level: str = "error") -> None:
    """Print an error or a warning on standard error: one line without control characters."""
    print(f"tawasul: {level}: {_BREAKS.sub(' ', message).strip()}", file=sys.stderr)  # noqa: T201


def console(*, to_stderr: bool) -> Console:
    """Return a console for the summary of a command, without markup."""
    from rich.console import Console

    found = Console(stderr=to_stderr, markup=False, emoji=False)
    if not found.is_terminal:
        found.width = 120  # a log has no width; names should not be cut
    return found


def exit_on_rejects(report: BatchReport | GroupReport) -> None:
    """Report the number of rejected rows and exit with their code, if any."""
    if report.rows_rejected:
        lost = f"{report.rows_rejected} of {report.rows_read} rows could not be read"
        complain(f"{lost}; see {report.rejects}", "warning")
        raise typer.Exit(EXIT_REJECTS)
