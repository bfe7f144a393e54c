"""Rewriting passes in two forms: fast on a string, and as edits that keep offsets.

Every pass has both: ``apply`` returns the new string as fast as it can, ``edits`` yields the replaced spans and their
replacements. The normaliser uses the first, offsets come from the second, and property tests keep them equal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol


class Edit(NamedTuple):
    """``text[start:end]`` is replaced by ``replacement``; edits are ascending and never overlap.

    ``decoded`` says that the replacement's first character stands for the whole span even where both begin or end
    alike, as ``&amp;`` and ``&``, ``&semi;`` and ``;`` do.
    """

    start: int
    end: int
    replacement: str
    decoded: bool = False


class Applies(Protocol):
    """Something that rewrites a text."""

    def apply(self, text: str) -> str:
        """Return the rewritten text."""
        ...


class Rewrite(Applies, Protocol):
    """One pass over a text, in both forms."""

    def edits(self, text: str) -> Iterator[Edit]:
        """Return the replacements that turn ``text`` into ``apply(text)``."""
        ...


class RegexRewrite:
    """Replace every match of a pattern.

    Parameters
    ----------
    pattern : re.Pattern
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

    __slots__ = ("_decodes", "_hint", "_pattern", "_probe", "_replace")

    def __init__(
        self,
        pattern: re.Pattern[str],
        replace: str | Callable[[re.Match[str]], str],
        hint: str = "",
        probe: re.Pattern[str] | None = None,
        decodes: bool = False,
    ) -> None:
        self._decodes = decodes
        self._pattern = pattern
        self._replace = replace
        self._hint = hint
        self._probe = probe

    def apply(self, text: str) -> str:
        """Return the rewritten text."""
        return self._pattern.sub(self._replace, text) if self._may_change(text) else text

    def edits(self, text: str) -> Iterator[Edit]:
        """Return one edit for each match."""
        if not self._may_change(text):
            return
        for match in self._pattern.finditer(text):
            replacement = self._replace if isinstance(self._replace, str) else self._replace(match)
            yield Edit(match.start(), match.end(), replacement, self._decodes)

    def _may_change(self, text: str) -> bool:
        return self._hint in text and (self._probe is None or self._probe.search(text) is not None)


# Code points that NFKC turns into a space or a tatweel, and harakat: the space would split the word.
_SPACED_MARKS = re.compile("[\ufe70-\ufe7f\ufc5e-\ufc63\ufcf2-\ufcf4]+")
# Canonical ordering in CPython is an insertion sort, quadratic in the length of a run of combining
# marks. 30 marks are what Unicode's Stream-Safe Text Format (UAX 15, section 13) allows.
_MAX_MARKS = 30
# No built-in class means "combining mark", but this one contains them and is scanned at C speed.
_PERHAPS_MARKS = re.compile(rf"[^\w\s\x00-\x7f]{{{_MAX_MARKS + 1},}}")


class Nfkc:
    """Unicode NFKC that keeps Arabic words intact and runs of combining marks short.

    Presentation forms of single harakat are removed, since plain NFKC puts a space before them.
    """

    __slots__ = ()

    def apply(self, text: str) -> str:
        """Return the normalised text; the same object if nothing changed."""
        if text.isascii() or unicodedata.is_normalized("NFKC", text):
            return text
        text = _SPACED_MARKS.sub("", text)
        if len(text) > _MAX_MARKS:
            text = _PERHAPS_MARKS.sub(_shorten_marks, text)
        return unicodedata.normalize("NFKC", text)

    def edits(self, text: str) -> Iterator[Edit]:
        """Return one edit for each changed span between two normalisation boundaries."""
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


def _stretch(text: str, start: int, end: int, kept: str) -> Iterator[Edit]:
    normal = unicodedata.normalize("NFKC", kept)
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


def _is_mark(char: str) -> bool:
    return unicodedata.combining(char) != 0


def _shorten_marks(match: re.Match[str]) -> str:
    kept: list[str] = []
    run = 0
    for char in match.group():
        run = run + 1 if _is_mark(char) else 0
        if run <= _MAX_MARKS:
            kept.append(char)
    return "".join(kept)


def _mark_excess(text: str, dropped: bytearray) -> None:
    """Flag what :func:`_shorten_marks` would remove, once the flagged characters are gone."""
    positions = [position for position in range(len(text)) if not dropped[position]]
    if len(positions) <= _MAX_MARKS:
        return
    remaining = "".join(text[position] for position in positions)
    for match in _PERHAPS_MARKS.finditer(remaining):
        run = 0
        for offset in range(match.start(), match.end()):
            run = run + 1 if _is_mark(remaining[offset]) else 0
            if run > _MAX_MARKS:
                dropped[positions[offset]] = 1


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


class CharacterMap:
    """Replace single characters by a table, in one pass for all steps that need one.

    Two cases depend on the neighbour: a zero-width joiner inside an emoji sequence stays, and a surrogate pair (left by
    a careless JSON writer) becomes the character that it encodes.
    """

    __slots__ = ("_each", "_mapped", "_removed", "_table")

    def __init__(self, table: dict[str, str]) -> None:
        self._table = table
        # Most matches are only removed, which needs no function call for each.
        removable = [char for char, target in table.items() if not target and char != "\u200d"]
        mapped = [char for char, target in table.items() if target or char == "\u200d"]
        # `re` compiles a character class of the basic plane to a bit map; with one character beyond, to a list that
        # is searched for each character of the text, many times as slow. And it skips fast to a class at the start of
        # a pattern, but not to a repeated one: hence "[x][x]*".
        planes = ([char for char in removable if char <= "\uffff"], [char for char in removable if char > "\uffff"])
        self._removed = tuple(re.compile("[{0}][{0}]*".format(_ranges(plane))) for plane in planes if plane)
        self._mapped = re.compile(f"[{_ranges(mapped)}]") if mapped else None
        # With a surrogate pair as one match; an alternative makes a pattern too slow for `apply`.
        pair = "[\ud800-\udbff][\udc00-\udfff]|" if "\ud800" in table else ""
        self._each = re.compile(f"{pair}[{_ranges(list(table))}]")

    def apply(self, text: str) -> str:
        """Return the rewritten text."""
        if self._mapped is not None:
            text = self._mapped.sub(self._replace, text)
        for pattern in self._removed:
            text = pattern.sub("", text)
        return text

    def edits(self, text: str) -> Iterator[Edit]:
        """Return one edit for each character that the table changes, and one for a surrogate pair."""
        for match in self._each.finditer(text):
            found = match.group()
            yield Edit(match.start(), match.end(), self._join(*found) if len(found) == 2 else self._replace(match))

    def _replace(self, match: re.Match[str]) -> str:
        found = match.group()
        if found < "\u200d" or "\u200d" < found < "\ud800":
            return self._table[found]
        if found == "\u200d":
            after = match.string[match.end() : match.end() + 1]
            return found if "\u2600" <= after <= "\u27bf" or "\U0001f000" <= after <= "\U0001faff" else ""
        if "\ud800" <= found <= "\udfff":
            before = match.string[max(match.start() - 1, 0) : match.start()]
            after = match.string[match.end() : match.end() + 1]
            if found < "\udc00" and "\udc00" <= after <= "\udfff":
                return self._join(found, after)
            if found >= "\udc00" and "\ud800" <= before < "\udc00":
                return ""  # its other half has become the character
        return self._table[found]

    def _join(self, high: str, low: str) -> str:
        char = (high + low).encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        return self._table.get(char, char)


_NOT_PLAIN_SPACE = re.compile(r"\s+")


class Whitespace:
    """Collapse white space to single spaces and strip the ends."""

    __slots__ = ()

    def apply(self, text: str) -> str:
        """Return the rewritten text."""
        return " ".join(text.split())

    def edits(self, text: str) -> Iterator[Edit]:
        """Return one edit for each run of white space that is not a single inner space."""
        for match in _NOT_PLAIN_SPACE.finditer(text):
            start, end = match.span()
            wanted = "" if start == 0 or end == len(text) else " "
            if match.group() != wanted:
                yield Edit(start, end, wanted)


class Casefold:
    """Fold case character by character, as :meth:`str.casefold` does."""

    __slots__ = ()

    def apply(self, text: str) -> str:
        """Return the rewritten text."""
        return text.casefold()

    def edits(self, text: str) -> Iterator[Edit]:
        """Return one edit for each character that changes."""
        for position, char in enumerate(text):
            folded = char.casefold()
            if folded != char:
                yield Edit(position, position + 1, folded)


# Every first character of an emoji sequence, keycaps included; decides whether to search at all.
_PERHAPS_EMOJI = re.compile("[\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff]")


class Emoji:
    """Remove emoji, or replace them with their Arabic names.

    The sequences and names come from the ``emoji`` package (a dependency of camel-tools), loaded at the first text that
    may contain one.
    """

    __slots__ = ("_named",)

    def __init__(self, named: bool) -> None:
        self._named = named

    def apply(self, text: str) -> str:
        """Return the rewritten text."""
        if _PERHAPS_EMOJI.search(text) is None:
            return text
        parts: list[str] = []
        last = 0
        for edit in self.edits(text):
            parts += (text[last : edit.start], edit.replacement)
            last = edit.end
        parts.append(text[last:])
        return "".join(parts)

    def edits(self, text: str) -> Iterator[Edit]:
        """Return one edit for each emoji."""
        if _PERHAPS_EMOJI.search(text) is None:
            return
        import emoji

        for found in emoji.emoji_list(text):
            name = " "
            if self._named:
                name = emoji.demojize(found["emoji"], language="ar", delimiters=("", "")).replace("_", " ")
                name = f" {name} "
            yield Edit(found["match_start"], found["match_end"], name)
