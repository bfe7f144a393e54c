"""Apply a profile to texts, with or without offsets to the original."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from tawasul_nlp.errors import checked_text

from .profiles import Profile, get_profile
from .rewrites import Edit, apply_edits
from .steps import build

#: ``[start, end)`` in the original text, in characters (code points).
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class NormalizedText:
    """A normalised text with offsets into its source."""

    text: str = field(repr=False)  # what `normalize` returns
    original: str = field(repr=False)
    # For each character of `text` the original characters that it stands for. No span is empty; starts and ends never
    # decrease. Removed characters are in no span, and the characters of a replacement share the span that they replace.
    spans: tuple[Span, ...]

    def source_span(self, start: int, end: int) -> Span:
        """Map ``text[start:end]`` to its span ``[start, end)`` in the original.

        Raises
        ------
        ValueError
            If the span is empty or not inside the text.

        Examples
        --------
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


class Normalizer:
    """Normalise texts by one profile; build it once and reuse it, from any thread.

    Parameters
    ----------
    profile : str or Profile
        ``"default"``, ``"matching"``, ``"arabert"``, ``"arabert-twitter"``, or a profile of your own.

    Raises
    ------
    ValueError
        If no profile has that name.

    Examples
    --------
    >>> Normalizer("default")("المجاااري طافحة من ٣ أيّـــام!!!!")
    'المجاري طافحة من 3 أيام!!'
    >>> Normalizer("matching")("چذي گالوا لي: المستشفى")
    'جذي قالوا لي المستشفي'
    """

    __slots__ = ("_passes", "_profile")

    def __init__(self, profile: str | Profile = "default") -> None:
        self._profile = get_profile(profile)
        self._passes = build(self._profile)

    @property
    def profile(self) -> Profile:
        """The profile in use."""
        return self._profile

    def __call__(self, text: str) -> str:
        """Call :meth:`normalize`."""
        return self.normalize(text)

    def normalize(self, text: str) -> str:
        """Normalise one text; if nothing changed, the result is the same object.

        ``default`` and ``matching`` neutralise lone surrogates and control characters.

        Raises
        ------
        InvalidTextError
            If ``text`` is not a str.
        """
        result = text = checked_text(text)
        for edits_of in self._passes:
            result = apply_edits(result, edits_of(result))
        return text if result == text else result

    def normalize_with_offsets(self, text: str, before: Iterable[Edit] = ()) -> NormalizedText:
        """Normalise one text and keep the source of each character.

        Slower than :meth:`normalize`; for highlighting and redaction in the original.

        Parameters
        ----------
        text : str
        before : iterable of Edit
            Edits of the text to make first, such as those of :func:`~tawasul_nlp.text.arabizi.arabizi_edits`.

        Raises
        ------
        InvalidTextError
            If ``text`` is not a str.

        Examples
        --------
        >>> Normalizer("default").normalize_with_offsets("بـ٥").spans
        ((0, 1), (2, 3))
        """
        result = text = checked_text(text)
        spans = [(position, position + 1) for position in range(len(text))]
        result, spans = _follow(result, spans, before)
        for edits_of in self._passes:
            result, spans = _follow(result, spans, edits_of(result))
        return NormalizedText(result, text, tuple(spans))

    def __repr__(self) -> str:
        return f"Normalizer({self._profile.name!r})"

    def __reduce__(self) -> tuple[type[Normalizer], tuple[Profile]]:
        # Compiled passes hold closures, so a process pool gets the profile and builds its own.
        return Normalizer, (self._profile,)


@lru_cache(maxsize=32)
def _cached(profile: str | Profile) -> Normalizer:
    return Normalizer(profile)


def normalize(text: str, profile: str | Profile = "default") -> str:
    """Normalise one text by a profile, as :class:`Normalizer` does.

    Examples
    --------
    >>> normalize("الكهربــــاء مقطوووعة عن مجمع ٧١١")
    'الكهرباء مقطوعة عن مجمع 711'
    """
    if not isinstance(profile, (str, Profile)):
        raise TypeError(f"profile must be a name or a Profile, got {type(profile).__name__}")
    return _cached(profile).normalize(text)


def _follow(text: str, spans: list[Span], edits: Iterable[Edit]) -> tuple[str, list[Span]]:
    """Apply edits to a text, and to the source span of each of its characters.

    So the spans of one pass are mapped through those of the pass before, and a chain of passes ends with spans in the
    original text.
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
