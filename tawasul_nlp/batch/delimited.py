"""Split delimited text into records, survive the faults that real exports have, and write it again.

The ``csv`` module is not used for reading, for three reasons: a quote that is never closed makes it swallow the rest of
the file, it refuses cells over a limit that is global to the process, and it does not tell which raw text a record came
from. On well-formed input this module gives what ``csv.reader(strict=True)`` gives; the tests hold it to that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

DELIMITERS = (",", ";", "\t", "|")

# A record longer than this is taken for a quote that was never closed. The longest text that the classifier accepts
# with comfort is a million characters, and nobody types a thousand lines into a complaint.
MAX_RECORD_LINES = 1000
MAX_RECORD_CHARS = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a delimited file.

    Attributes
    ----------
    line : int
        Number of its first line, from 1.
    raw : str
    fields : list of str or None
        None when the record cannot be read; `problem` says why.
    lines, size : int
        How many lines, and how much of the file, were read when the record ended.
    """

    line: int
    raw: str
    fields: list[str] | None
    problem: str | None = None
    lines: int = 0
    size: int = 0


def split_fields(record: str, delimiter: str) -> list[str] | None:
    r"""Split one record into fields.

    Parameters
    ----------
    record : str
        One line, or several when a quoted field contains line breaks; the last line's end may be present.
    delimiter : str
        One character.

    Returns
    -------
    list of str or None
        None when a quoted field is still open at the end, so that the record goes on in the next line.

    Raises
    ------
    ValueError
        If text follows a closing quote.

    Examples
    --------
    >>> split_fields('12,"قال ""لا"", ثم مشى"\n', ",")
    ['12', 'قال "لا", ثم مشى']
    >>> split_fields('12,"لم ينته', ",") is None
    True
    """
    end = len(record)
    if record.endswith("\n"):
        end -= 1
    if record.endswith("\r", 0, end):
        end -= 1
    body = record[:end]
    if '"' not in body:
        return body.split(delimiter)
    fields = []
    at = 0
    while True:
        if body.startswith('"', at):
            close = body.find('"', at + 1)
            while close >= 0 and body.startswith('"', close + 1):
                close = body.find('"', close + 2)
            if close < 0:
                return None
            fields.append(body[at + 1 : close].replace('""', '"'))
            at = close + 1
            if at < end and body[at] != delimiter:
                raise ValueError("text follows a closing quote; a quote inside a quoted field must be doubled")
        else:
            stop = body.find(delimiter, at)
            stop = end if stop < 0 else stop
            fields.append(body[at:stop])
            at = stop
        if at >= end:
            return fields
        at += 1


def join_fields(fields: Iterable[str], delimiter: str) -> str:
    r"""Return the fields as one record, with its line end; :func:`split_fields` gives them back.

    ``csv.writer`` leaves a lone carriage return unquoted before Python 3.13, which every reader takes for a row's end.

    >>> join_fields(["12", "سطر\rآخر", "أ,ب"], ",")
    '12,"سطر\rآخر","أ,ب"\n'
    """
    cells = list(fields)
    line = delimiter.join(cells)
    if '"' in line or "\n" in line or "\r" in line or line.count(delimiter) != len(cells) - 1:
        marks = (delimiter, '"', "\n", "\r")
        line = delimiter.join(
            '"' + cell.replace('"', '""') + '"' if any(mark in cell for mark in marks) else cell for cell in cells
        )
    return (line or '""') + "\n"  # an empty line would be no record


def read_records(lines: Iterable[str], delimiter: str, size: Callable[[str], int] = len) -> Iterator[Record]:
    r"""Yield the records of a delimited file; lines with nothing in them are not records.

    A quote that is never closed costs its own line only: reading goes on with the next one.

    Parameters
    ----------
    lines : iterable of str
        With their ends.
    delimiter : str
        One character.
    size : callable
        Tells how much of the file a line is, for the records' ``size``: characters, or bytes.

    Examples
    --------
    >>> broken = ['1,"لم ينته\n', "2,سليم\n"]
    >>> [(r.line, r.fields, r.problem) for r in read_records(broken, ",")]
    [(1, None, 'a quote is opened and never closed'), (2, ['2', 'سليم'], None)]
    """
    source = iter(lines)
    pending: deque[str] = deque()

    def next_line() -> str | None:
        return pending.popleft() if pending else next(source, None)

    number = done = 0
    while (line := next_line()) is not None:
        number += 1
        done += size(line)
        if line in ("\n", "\r\n", "\r"):
            continue
        parts = [line]
        chars = len(line)
        problem = None
        fields = None
        try:
            if chars > MAX_RECORD_CHARS:
                problem = f"is longer than {MAX_RECORD_CHARS:,} characters"
            else:
                fields = split_fields(line, delimiter)
            while fields is None and problem is None:
                more = next_line() if len(parts) < MAX_RECORD_LINES and chars < MAX_RECORD_CHARS else None
                if more is None:
                    problem = "a quote is opened and never closed"
                    break
                parts.append(more)
                chars += len(more)
                if '"' in more:  # otherwise the field is open still
                    fields = split_fields("".join(parts), delimiter)
        except ValueError as error:
            problem = str(error)
        if problem is None:
            first = number
            number += len(parts) - 1
            done += sum(map(size, parts[1:]))
            yield Record(first, "".join(parts), fields, None, number, done)
        else:
            yield Record(number, line, None, problem, number, done)
            pending.extendleft(reversed(parts[1:]))


def sniff_delimiter(lines: list[str], wanted: str | None = None) -> str:
    r"""Choose the delimiter under which the lines form the most regular table.

    Parameters
    ----------
    lines : list of str
        The first lines of the file, the header first.
    wanted : str, optional
        A column that the header is said to have: a delimiter under which it does goes before all others.

    Returns
    -------
    str
        One of `DELIMITERS`. A file of one column gets a delimiter that splits none of its rows.

    Examples
    --------
    >>> sniff_delimiter(["id;text\n", "1;الماي مقطوع، من أمس\n"])
    ';'
    >>> sniff_delimiter(["text\n", "الماي مقطوع, من أمس\n"])
    ';'
    """

    def merit(delimiter: str) -> tuple[bool, bool, float, int]:
        table = [record.fields for record in read_records(lines, delimiter)]
        header = table[0] if table and table[0] else []
        body = table[1:-1] if len(table) > 2 else table[1:]  # the sample's last row may be cut
        regular = sum(fields is not None and len(fields) == len(header) for fields in body)
        share = regular / len(body) if body else 1.0
        return wanted is not None and wanted in header, len(header) > 1 and share > 0.5, share, len(header)

    return max(DELIMITERS, key=merit)
