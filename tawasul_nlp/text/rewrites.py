"""Rewriting passes over a text, as edits that keep offsets.

Every pass yields the replaced spans and their replacements. Where nearly every text needs it, ``apply`` is a faster way
to the text alone; property tests keep both equal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One pass over a text, in both forms."""

    edits: Callable[[str], Iterator[Edit]]
    apply: Callable[[str], str]


def from_edits(edits: Callable[[str], Iterator[Edit]]) -> Rewrite:
    """Return a pass that few texts need, from its edits alone."""
    return Rewrite(edits, lambda text: apply_edits(text, edits(text)))


def regex(
    pattern: str | re.Pattern[str],
    replace: str | Callable[[re.Match[str]], str],
    hint: str = "",
    probe: re.Pattern[str] | None = None,
    decodes: bool = False,
) -> Rewrite:
    """Return a pass that replaces every match of a pattern.

    Parameters
    ----------
    pattern : str or re.Pattern
        Must never match the empty string: every output character needs a source.
    replace : str or callable
        The replacement (without backslashes), or a function from the match to it.
    hint : str
        A substring of every match: searching for it is far faster than for the pattern.
    probe : re.Pattern, optional
        Likewise, a cheaper pattern found in every text with a match.
    decodes : bool
        Whether its edits are ``decoded``: a match that changes becomes a shorter text, whose first character is new.
    """
    pattern = re.compile(pattern)

    def may_change(text: str) -> bool:
        return hint in text and (probe is None or probe.search(text) is not None)

    def edits(text: str) -> Iterator[Edit]:
        for match in pattern.finditer(text) if may_change(text) else ():
            replacement = replace if isinstance(replace, str) else replace(match)
            yield Edit(match.start(), match.end(), replacement, decodes)

    return Rewrite(edits, lambda text: pattern.sub(replace, text) if may_change(text) else text)


# Code points that NFKC turns into a space or a tatweel, and harakat: the space would split the word.
_SPACED_MARKS = re.compile("[\ufe70-\ufe7f\ufc5e-\ufc63\ufcf2-\ufcf4]+")
# Canonical ordering in CPython is an insertion sort, quadratic in the length of a run of combining
# marks. 30 marks are what Unicode's Stream-Safe Text Format (UAX 15, section 13) allows.
_MAX_MARKS = 30
# No built-in class means "combining mark", but this one contains them and is scanned at C speed.
_PERHAPS_MARKS = re.compile(rf"[^\w\s\x00-\x7f]{{{_MAX_MARKS + 1},}}")


def _nfkc_edits(text: str) -> Iterator[Edit]:
    """Yield one edit for each changed span between two normalisation boundaries."""
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


def _nfkc(text: str) -> str:
    if text.isascii() or unicodedata.is_normalized("NFKC", text):
        return text
    if _SPACED_MARKS.search(text) or _PERHAPS_MARKS.search(text):
        return apply_edits(text, _nfkc_edits(text))
    return unicodedata.normalize("NFKC", text)


#: Unicode NFKC that keeps Arabic words intact and runs of combining marks short. Presentation forms of single harakat
#: are removed, since plain NFKC puts a space before them.
NFKC = Rewrite(_nfkc_edits, _nfkc)


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
    """Return the characters of a list of hexadecimal code points and inclusive ranges of them.

    Examples
    --------
    >>> code_points("61-63 6b")
    'abck'
    """
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


def character_map(table: dict[str, str]) -> Rewrite:
    """Return a pass that replaces single characters by a table, for all steps that need one.

    Two cases depend on the neighbour: a zero-width joiner inside an emoji sequence stays, and a surrogate pair (left by
    a careless JSON writer) becomes the character that it encodes.
    """
    # Most matches are only removed, which needs no function call for each.
    removable = [char for char, target in table.items() if not target and char != "\u200d"]
    others = [char for char in table if char not in removable]
    mapped = re.compile(f"[{_ranges(others)}]") if others else None
    # `re` compiles a character class of the basic plane to a bit map; with one character beyond, to a list that
    # is searched for each character of the text, many times as slow. And it skips fast to a class at the start of
    # a pattern, but not to a repeated one: hence "[x][x]*".
    planes = ([char for char in removable if char <= "\uffff"], [char for char in removable if char > "\uffff"])
    removed = [re.compile("[{0}][{0}]*".format(_ranges(plane))) for plane in planes if plane]
    # With a surrogate pair as one match; an alternative makes a pattern too slow for `apply`.
    pair = "[\ud800-\udbff][\udc00-\udfff]|" if "\ud800" in table else ""
    each = re.compile(f"{pair}[{_ranges(list(table))}]")

    def join(high: str, low: str) -> str:
        char = (high + low).encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        return table.get(char, char)

    def replace(match: re.Match[str]) -> str:
        char = match.group()
        if char < "\u200d" or "\u200d" < char < "\ud800":
            return table[char]
        after = match.string[match.end() : match.end() + 1]
        if char == "\u200d":
            return char if "\u2600" <= after <= "\u27bf" or "\U0001f000" <= after <= "\U0001faff" else ""
        if "\ud800" <= char <= "\udbff" and "\udc00" <= after <= "\udfff":
            return join(char, after)
        before = match.string[max(match.start() - 1, 0) : match.start()]
        if "\udc00" <= char <= "\udfff" and "\ud800" <= before < "\udc00":
            return ""  # its other half has become the character
        return table[char]

    def apply(text: str) -> str:
        if mapped is not None:
            text = mapped.sub(replace, text)
        for pattern in removed:
            text = pattern.sub("", text)
        return text

    def edits(text: str) -> Iterator[Edit]:
        for match in each.finditer(text):
            char = match.group()
            yield Edit(match.start(), match.end(), join(*char) if len(char) == 2 else replace(match))

    return Rewrite(edits, apply)


_SPACES = re.compile(r"\s+")


def _whitespace_edits(text: str) -> Iterator[Edit]:
    for match in _SPACES.finditer(text):
        start, end = match.span()
        space = "" if start == 0 or end == len(text) else " "
        if match.group() != space:
            yield Edit(start, end, space)


#: White space to single spaces, none at the ends.
WHITESPACE = Rewrite(_whitespace_edits, lambda text: " ".join(text.split()))


def _casefold_edits(text: str) -> Iterator[Edit]:
    for position, char in enumerate(text):
        folded = char.casefold()
        if folded != char:
            yield Edit(position, position + 1, folded)


#: Case folded character by character.
CASEFOLD = Rewrite(_casefold_edits, str.casefold)

# Every first character of an emoji sequence, keycaps included; decides whether to search at all.
_PERHAPS_EMOJI = re.compile("[\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff]")


def emoji_rewrite(named: bool) -> Rewrite:
    """Return a pass that removes emoji, or replaces them with their Arabic names.

    The sequences and names come from the ``emoji`` package (a dependency of camel-tools), loaded at the first text that
    may contain one.
    """

    def edits(text: str) -> Iterator[Edit]:
        if _PERHAPS_EMOJI.search(text) is None:
            return
        import emoji

        for match in emoji.emoji_list(text):
            name = " "
            if named:
                name = emoji.demojize(match["emoji"], language="ar", delimiters=("", "")).replace("_", " ")
                name = f" {name} "
            yield Edit(match["match_start"], match["match_end"], name)

    return from_edits(edits)
