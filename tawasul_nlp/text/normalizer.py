"""Apply a profile to texts."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from tawasul_nlp.errors import checked_text

from .offsets import NormalizedText, follow
from .profiles import Profile, get_profile
from .rewrites import Edit
from .steps import build, fast_passes


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

    __slots__ = ("_applies", "_passes", "_profile")

    def __init__(self, profile: str | Profile = "default") -> None:
        self._profile = get_profile(profile)
        self._passes = build(self._profile)
        self._applies = tuple(step.apply for step in fast_passes(self._profile, self._passes))

    @property
    def profile(self) -> Profile:
        """The profile in use."""
        return self._profile

    def __call__(self, text: str) -> str:
        """Call :meth:`normalize`."""
        return self.normalize(text)

    def normalize(self, text: str) -> str:
        """Normalise one text.

        Parameters
        ----------
        text : str
            Any str; ``default`` and ``matching`` neutralise lone surrogates and control characters.

        Returns
        -------
        str
            The normalised text; the same object if nothing changed.

        Raises
        ------
        InvalidTextError
            If ``text`` is not a str.
        """
        result = text = checked_text(text)
        for apply in self._applies:
            result = apply(result)
        return text if result == text else result

    def normalize_many(self, texts: Iterable[str]) -> list[str]:
        """Normalise texts, in order.

        Parameters
        ----------
        texts : iterable of str

        Returns
        -------
        list of str

        Raises
        ------
        InvalidTextError
            If one of them is not a str; ``.index`` is its position.
        TypeError
            If ``texts`` is a single str.
        """
        if isinstance(texts, str):
            raise TypeError("normalize_many expects an iterable of str, got one str; use normalize")
        return [self.normalize(checked_text(text, f"text {index}", index)) for index, text in enumerate(texts)]

    def normalize_with_offsets(self, text: str, before: Iterable[Edit] = ()) -> NormalizedText:
        """Normalise one text and keep the source of each character.

        Slower than :meth:`normalize`; for highlighting and redaction in the original.

        Parameters
        ----------
        text : str
        before : iterable of Edit
            Edits of the text to make first, such as those of :func:`~tawasul_nlp.text.arabizi.arabizi_edits`.

        Returns
        -------
        NormalizedText
            Its ``text`` equals ``normalize(text)``, of the edited text.

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
        result, spans = follow(result, spans, before)
        for step in self._passes:
            result, spans = follow(result, spans, step.edits(result))
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
    """Normalise one text.

    Parameters
    ----------
    text : str
    profile : str or Profile
        See :class:`Normalizer`.

    Returns
    -------
    str
        The normalised text; the same object if nothing changed.

    Raises
    ------
    InvalidTextError
        If ``text`` is not a str.
    ValueError
        If no profile has that name.

    Examples
    --------
    >>> normalize("الكهربــــاء مقطوووعة عن مجمع ٧١١")
    'الكهرباء مقطوعة عن مجمع 711'
    """
    if not isinstance(profile, (str, Profile)):
        raise TypeError(f"profile must be a name or a Profile, got {type(profile).__name__}")
    return _cached(profile).normalize(text)
