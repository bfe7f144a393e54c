"""Judge masks for personal data on texts that were marked by hand.

In such a text what is personal stands in braces behind its kind (``هاتفي {phone:39001234}``); all else must stay.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tawasul_nlp.evaluation.metrics import exact_interval
from tawasul_nlp.text.personal.mask import DEFAULT_KINDS, find_personal_data

DATA = Path(__file__).parents[1] / "data"
_MARKED = re.compile(r"\{(\w+):([^{}]+)\}")
_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of a text that is personal data: kind, start, end."""

    kind: str
    start: int
    end: int


def read_lines(name: str, half: str | None = None) -> list[dict[str, Any]]:
    """Read the lines of one half of a file in ``eval/data`` (None: of both)."""
    lines = [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if half in (None, line["half"])]


def read_marks(marked: str) -> tuple[str, list[Mark]]:
    """Take the marks out of a text.

    >>> read_marks("هاتفي {phone:39001234}.")
    ('هاتفي 39001234.', [Mark(kind='phone', start=6, end=14)])
    """
    parts: list[str] = []
    marks: list[Mark] = []
    last = length = 0
    for match in _MARKED.finditer(marked):
        parts += (marked[last : match.start()], match.group(2))
        start = length + match.start() - last
        length = start + len(match.group(2))
        marks.append(Mark(match.group(1), start, length))
        last = match.end()
    return "".join([*parts, marked[last:]]), marks


def _ink(text: str, start: int, end: int) -> frozenset[int]:
    """Give the positions of letters and digits: separators at the ends of a mask do not matter."""
    return frozenset(position for position in range(start, end) if text[position].isalnum())


def judge_masks(line: dict[str, Any], kinds: Collection[str] = DEFAULT_KINDS) -> dict[str, Any]:
    """Compare the masks of one text with its marks of these kinds, and see which other numbers stay."""
    text, marks = read_marks(line["masks"])
    wanted = [(mark.kind, _ink(text, mark.start, mark.end)) for mark in marks if mark.kind in kinds]
    given = [(span.kind, _ink(text, span.start, span.end)) for span in find_personal_data(text, kinds)]
    covered: frozenset[int] = frozenset().union(*(ink for _, ink in given))
    personal: frozenset[int] = frozenset().union(*(_ink(text, mark.start, mark.end) for mark in marks))
    numbers = [frozenset(range(*match.span())) for match in _NUMBER.finditer(text)]
    return {
        "wanted": [(kind, ink <= covered, (kind, ink) in given) for kind, ink in wanted],
        "given": [(kind, (kind, ink) in wanted) for kind, ink in given],
        "others": [not number & covered for number in numbers if not number & personal],
    }


def ratio(right: int, n: int) -> dict[str, Any]:
    """Give a share with its exact (Clopper-Pearson) 95% interval."""
    share, low, high = exact_interval(right, n) if n else (None, None, None)
    return {"right": right, "n": n, "share": share, "interval": [low, high]}


def measure_masks(lines: Iterable[dict[str, Any]], kinds: Collection[str] = DEFAULT_KINDS) -> dict[str, Any]:
    """Count masks by kind."""
    wanted: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    given: dict[str, list[bool]] = defaultdict(list)
    others: list[bool] = []
    texts = clean = 0
    for line in lines:
        judged = judge_masks(line, kinds)
        texts += 1
        clean += all(right for _, _, right in judged["wanted"]) and all(right for _, right in judged["given"])
        others += judged["others"]
        for kind, masked, named in judged["wanted"]:
            for key in (kind, "all"):
                wanted[key].append((masked, named))
        for kind, right in judged["given"]:
            for key in (kind, "all"):
                given[key].append(right)
    return {
        "texts": ratio(clean, texts),
        "others_stay": ratio(sum(others), len(others)),
        "kinds": {
            kind: {
                "masked": ratio(sum(masked for masked, _ in wanted[kind]), len(wanted[kind])),
                "as_its_kind": ratio(sum(named for _, named in wanted[kind]), len(wanted[kind])),
                "precision": ratio(sum(given[kind]), len(given[kind])),
            }
            for kind in [*sorted(kinds), "all"]
        },
    }
