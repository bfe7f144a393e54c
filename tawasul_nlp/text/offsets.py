"""Offsets from a normalised text to the original.

Built from the edits of each pass: the spans of one pass are mapped through those of the pass before, so a chain of
passes ends with spans in the original text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .rewrites import Edit

#: ``[start, end)`` in the original text, in characters (code points).
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class NormalizedText:
    """A normalised text with offsets into its source.

    Attributes
    ----------
    text : str
        What :func:`tawasul_nlp.text.normalize` returns.
    original : str
        The text before normalisation.
    spans : tuple of (int, int)
        For each character of ``text`` the ``[start, end)`` of the original characters that it stands for. No span is
        empty; starts and ends never decrease. Removed characters are in no span, and the characters of a replacement
        share the span that they replace.
    """

    text: str
    original: str
    spans: tuple[Span, ...]

    def source_span(self, start: int, end: int) -> Span:
        """Map ``text[start:end]`` to its span in the original.

        Parameters
        ----------
        start, end : int
            Positions in ``text``, ``0 <= start < end <= len(text)``.

        Returns
        -------
        (int, int)
            ``[start, end)`` in ``original``.

        Raises
        ------
        ValueError
            If the span is empty or not inside the text.

        Examples
        --------
        >>> from tawasul_nlp.text import Normalizer
        >>> normal = Normalizer("default").normalize_with_offsets("الشارعُ  مظلـــم")
        >>> normal.text
        'الشارع مظلم'
        >>> start, end = normal.source_span(7, 11)
        >>> normal.original[start:end]
        'مظلـــم'
        """
        if not 0 <= start < end <= len(self.text):
            raise ValueError(
                f"[{start}, {end}) is not a non-empty span of a normalised text of {len(self.text)} characters"
            )
        return self.spans[start][0], self.spans[end - 1][1]


def follow(text: str, spans: list[Span], edits: Iterable[Edit]) -> tuple[str, list[Span]]:
    """Apply edits to a text and its spans.

    Parameters
    ----------
    text : str
    spans : list of (int, int)
        The source span of each character of ``text``.
    edits : iterable of Edit
        Ascending, without overlap, none of them with an empty source.

    Returns
    -------
    (str, list of (int, int))
        The edited text and the source span of each of its characters.
    """
    edits = list(edits)
    if not edits:
        return text, spans
    parts: list[str] = []
    moved: list[Span] = []
    last = 0
    for start, end, replacement, decoded in edits:
        parts += (text[last:start], replacement)
        moved += spans[last:start]
        if len(replacement) == end - start:
            moved += spans[start:end]
        else:
            # Characters that a replacement shares with the beginning or the end of its source keep their spans.
            source = text[start:end]
            shorter = min(len(source), len(replacement) - decoded)
            head = 0
            while not decoded and head < shorter and source[head] == replacement[head]:
                head += 1
            tail = 0
            while tail < shorter - head and source[-1 - tail] == replacement[-1 - tail]:
                tail += 1
            moved += spans[start : start + head]
            middle = len(replacement) - head - tail
            if middle:
                # With nothing of the source left between head and tail (an insertion), the new characters map to the
                # nearest character.
                first, final = start + head, end - tail - 1
                if first > final:
                    first = final = min(first, end - 1) if head == 0 else start + head - 1
                moved += [(spans[first][0], spans[final][1])] * middle
            moved += spans[end - tail : end]
        last = end
    parts.append(text[last:])
    moved += spans[last:]
    return "".join(parts), moved
