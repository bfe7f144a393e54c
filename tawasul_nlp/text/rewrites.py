"""Rewriting passes over a text: functions from a text to the edits that a pass makes, which keep offsets."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple


class Edit(NamedTuple):
    """``text[start:end]`` is replaced by ``replacement``; edits are ascending and never overlap.

    ``decoded`` says that the replacement's first character stands for the whole span even where both begin or end
    alike, as ``&amp;`` and ``&``, ``&semi;`` and ``;`` do.
    """

    start: int
    end: int
    replacement: str
    decoded: bool = False


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """Return a text with its edits made."""
    parts: list[str] = []
    last = 0
    for edit in edits:
        parts += (text[last : edit.start], edit.replacement)
        last = edit.end
    return "".join(parts) + text[last:]


Pass = Callable[[str], Iterable[Edit]]


def regex(
    pattern: str | re.Pattern[str],
    replace: str | Callable[[re.Match[str]], str],
    hint: str = "",
    probe: re.Pattern[str] | None = None,
    decodes: bool = False,
) -> Pass:
    """Return a pass that replaces every match of a pattern, which must never match the empty string.

    Every match contains ``hint``, and ``probe`` is a cheaper pattern that is found in every text with a match: both are
    far faster to search for. ``decodes`` says that its edits are ``decoded``.
    """
    pattern = re.compile(pattern)

    def edits(text: str) -> Iterator[Edit]:
        if hint in text and (probe is None or probe.search(text) is not None):
            for match in pattern.finditer(text):
                replacement = replace if isinstance(replace, str) else replace(match)
                yield Edit(match.start(), match.end(), replacement, decodes)

    return edits


# Code points that NFKC turns into a space or a tatweel, and harakat: the space would split the word.
_SPACED_MARKS = re.compile("[\ufe70-\ufe7f\ufc5e-\ufc63\ufcf2-\ufcf4]+")
# Canonical ordering in CPython is an insertion sort, quadratic in the length of a run of combining
# marks. 30 marks are what Unicode's Stream-Safe Text Format (UAX 15, section 13) allows.
_MAX_MARKS = 30
# No built-in class means "combining mark", but this one contains them and is scanned at C speed.
_PERHAPS_MARKS = re.compile(rf"[^\w\s\x00-\x7f]{{{_MAX_MARKS + 1},}}")


def nfkc_edits(text: str) -> Iterator[Edit]:
    """Yield one edit for each changed span between two boundaries of Unicode's NFKC.

    Arabic words stay intact and runs of combining marks short: presentation forms of single harakat are removed, since
    plain NFKC puts a space before them.
    """
    if text.isascii() or unicodedata.is_normalized("NFKC", text):
        return
    dropped = bytearray(len(text))
    for match in _SPACED_MARKS.finditer(text):
        dropped[match.start() : match.end()] = b"\x01" * (match.end() - match.start())
    _mark_excess(text, dropped)
    start = 0
    pieces: list[str] = []
    for position, char in enumerate(text):
        if not dropped[position] and pieces and _is_boundary(char):
            yield from _stretch(text, start, position, "".join(pieces))
            start = position
            pieces = []
        if not dropped[position]:
            pieces.append(char)
    yield from _stretch(text, start, len(text), "".join(pieces))


def _stretch(text: str, start: int, end: int, remaining: str) -> Iterator[Edit]:
    normal = unicodedata.normalize("NFKC", remaining)
    if text[start:end] != normal:
        yield Edit(start, end, normal)


def _is_boundary(char: str) -> bool:
    """Return whether a text can be split before ``char`` and its parts normalised separately.

    What composes or reorders with a preceding character is a mark or a conjoining Hangul
    vowel or final, or decomposes to one.
    """
    if char < "\u0300":
        # Spacing accents such as U+00A8 decompose to a space first, which starts a new sequence.
        return True
    first = unicodedata.normalize("NFKD", char)[0]
    return unicodedata.category(first)[0] != "M" and not "\u1160" <= first <= "\u11ff"


def _mark_excess(text: str, dropped: bytearray) -> None:
    """Flag the marks of a run beyond the most that one may have, once the flagged characters are gone."""
    positions = [position for position in range(len(text)) if not dropped[position]]
    if len(positions) <= _MAX_MARKS:
        return
    remaining = "".join(text[position] for position in positions)
    for match in _PERHAPS_MARKS.finditer(remaining):
        run = 0
        for offset in range(match.start(), match.end()):
            run = run + 1 if unicodedata.combining(remaining[offset]) else 0
            if run > _MAX_MARKS:
                dropped[positions[offset]] = 1


def code_points(ranges: str) -> str:
    """Return the characters of a list of hexadecimal code points and inclusive ranges of them."""
    bounds = (entry.partition("-") for entry in ranges.split())
    return "".join(chr(code) for first, _, last in bounds for code in range(int(first, 16), int(last or first, 16) + 1))


def _ranges(chars: list[str]) -> str:
    """Write characters as the inside of a character class, with ranges."""
    bounds: list[list[int]] = []
    for code in sorted(map(ord, chars)):
        if bounds and bounds[-1][1] == code - 1:
            bounds[-1][1] = code
        else:
            bounds.append([code, code])
    return "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in bounds)


# Much cheaper than a pattern that says which characters may repeat: true for few texts.
TRIPLE = re.compile(r"(.)\1\1", re.DOTALL)


def character_map(table: dict[str, str]) -> Pass:
    """Return a pass that replaces single characters by a table, for all steps that need one.

    Two cases depend on the neighbour: a zero-width joiner inside an emoji sequence stays, and a surrogate pair (left by
    a careless JSON writer) becomes the character that it encodes.
    """
    pair = "[\ud800-\udbff][\udc00-\udfff]|" if "\ud800" in table else ""
    each = re.compile(f"{pair}[{_ranges(list(table))}]")

    def edits(text: str) -> Iterator[Edit]:
        for match in each.finditer(text):
            char = match.group()
            if len(char) == 2:
                joined = char.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
                replacement = table.get(joined, joined)
            elif char == "\u200d":
                after = text[match.end() : match.end() + 1]
                in_emoji = "\u2600" <= after <= "\u27bf" or "\U0001f000" <= after <= "\U0001faff"
                replacement = char if in_emoji else ""
            else:
                replacement = table[char]
            yield Edit(match.start(), match.end(), replacement)

    return edits


# All white space but single spaces between words.
_SPACES = re.compile(r"\s\s+|[^\S ]|^\s|\s\Z")


def whitespace_edits(text: str) -> Iterator[Edit]:
    """Yield the edits that make single spaces of white space, and none at the ends."""
    for match in _SPACES.finditer(text):
        start, end = match.span()
        yield Edit(start, end, "" if start == 0 or end == len(text) else " ")


def casefold_edits(text: str) -> Iterator[Edit]:
    """Yield the edits that fold case character by character."""
    for position, char in enumerate(text if text != text.casefold() else ""):
        if char != char.casefold():
            yield Edit(position, position + 1, char.casefold())


# Every first character of an emoji sequence, keycaps included; decides whether to search at all.
_PERHAPS_EMOJI = re.compile("[\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff]")


def emoji_edits(text: str) -> Iterator[Edit]:
    """Yield the edits that remove emoji.

    The sequences are those of the ``emoji`` package, which is loaded at the first text that may contain one.
    """
    if _PERHAPS_EMOJI.search(text) is None:
        return
    import emoji

    for match in emoji.emoji_list(text):
        yield Edit(match["match_start"], match["match_end"], " ")
