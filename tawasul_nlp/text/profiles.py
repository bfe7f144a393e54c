"""Normalisation profiles: the steps applied to a text, as a frozen value.

A profile says *what* is done; :mod:`tawasul_nlp.text.steps` says *how*. A profile is
stored with a trained model, so its dictionary form and fingerprint are part of the
model format.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

#: Every step with its one-line description, in the order of application.
STEPS: Mapping[str, str] = MappingProxyType(
    {
        "html_entities": "decode &amp; &#1593; and the like",
        "unicode": "NFKC: presentation forms, ligatures, full width forms, composed hamza",
        "controls": "control characters and lone surrogates to a space, split surrogate pairs joined",
        "invisible": "remove zero-width characters, bidi controls and variation selectors, without splitting the word",
        "tatweel": "remove the kashida",
        "diacritics": "remove harakat, tanween, shadda, superscript alef and Quranic marks",
        "digits": "Arabic-Indic and Persian digits, decimal and thousands marks and percent sign to ASCII",
        "keyboard_letters": "Persian, Urdu and Kurdish keyboard letters and alef wasla to the Arabic letter meant",
        "fold_alef": "every hamza form of alef to bare alef",
        "fold_hamza": "hamza seats to waw and ya, stand-alone hamza removed",
        "fold_ya": "alef maqsura to ya",
        "fold_ta_marbuta": "ta marbuta to ha",
        "fold_dialect_letters": "dialect and foreign letters to their usual spelling (چ ج, گ ق, پ ب, ڤ ف, ژ ز)",
        "urls": "web addresses to [رابط]",
        "emails": "e-mail addresses to [بريد]",
        "mentions": "@mentions to [مستخدم]",
        "hashtags": "#words_like_this to plain words",
        "drop_emoji": "remove emoji",
        "casefold": "fold the case of Latin and other cased letters",
        "drop_punctuation": "replace whatever is neither letter, digit nor white space by a space",
        "elongation": "letter repeated three times or more: long vowels to one, other letters to two",
        "double_alef": "runs of alef to one",
        "repeated_punctuation": "sign or emoji repeated three times or more to two",
        "whitespace": "collapse white space to single spaces, strip the ends",
        "arabert": "the preprocessing that bert-base-arabertv02 was trained with",
        "arabert_twitter": "the preprocessing that bert-base-arabertv02-twitter was trained with",
    }
)
_ORDER = {name: position for position, name in enumerate(STEPS)}
_ALONE = ("arabert", "arabert_twitter")

# A model trained with other rules must not silently run with these, and a model whose steps are unchanged must not be
# refused for changes in others. So the rules have revisions: a profile has the revision in which the output of one of
# its steps last changed, listed here if that is not the first.
_CHANGED = {
    "emails": 2,  # an e-mail address inside a web address goes with it
}


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of normalisation steps.

    Steps are always applied, and stored, in the order of :data:`STEPS`, so profiles with the same steps are equal.

    Raises
    ------
    ValueError
        For an unknown or repeated step, mutually exclusive steps, or another revision.

    Examples
    --------
    >>> Profile("plain", ("whitespace", "tatweel")).steps
    ('tatweel', 'whitespace')
    >>> Profile.from_dict(PROFILES["default"].to_dict()) == PROFILES["default"]
    True
    """

    name: str  # in messages and model files
    steps: tuple[str, ...]  # names out of STEPS
    revision: int = 0  # of the steps' rules; 0, which is never stored, for that of this library

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"a profile's name must be a non-empty str, got {self.name!r}")
        if isinstance(self.steps, str):
            raise ValueError(f"a profile's steps must be a tuple of step names, got the str {self.steps!r}")
        steps = tuple(self.steps)
        unknown = [step for step in steps if step not in _ORDER]
        if unknown:
            raise ValueError(f"profile {self.name!r} has unknown steps {unknown}; known steps: {', '.join(STEPS)}")
        if len(set(steps)) != len(steps):
            raise ValueError(f"profile {self.name!r} names a step twice: {list(steps)}")
        alone = [step for step in steps if step in _ALONE]
        if alone and len(steps) > 1:
            raise ValueError(f"step {alone[0]!r} is a complete preprocessing of its own; use it without other steps")
        object.__setattr__(self, "steps", tuple(sorted(steps, key=_ORDER.__getitem__)))
        revision = max((_CHANGED.get(step, 1) for step in steps), default=1)
        if self.revision not in (0, revision):
            raise ValueError(
                f"profile {self.name!r} was written for normalisation rules of revision {self.revision!r}, and this "
                f"library has revision {revision} of its steps; use the version that wrote it, or retrain"
            )
        object.__setattr__(self, "revision", revision)

    def to_dict(self) -> dict[str, Any]:
        """Return the profile as a dict, ready for JSON."""
        return {"name": self.name, "steps": list(self.steps), "revision": self.revision}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Profile:
        """Build a profile from the output of :meth:`to_dict`.

        Raises
        ------
        ValueError
            If a key is missing or unknown, or the revision is another one.
        """
        expected = {"name", "steps", "revision"}
        if set(data) != expected:
            raise ValueError(f"a profile has the keys {sorted(expected)}, got {sorted(map(str, data))}")
        if not isinstance(data["revision"], int) or data["revision"] < 1:
            raise ValueError(f"a profile's revision must be a positive int, got {data['revision']!r}")
        return cls(name=data["name"], steps=tuple(data["steps"]), revision=data["revision"])

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that identify the profile: of the SHA-256 of its canonical JSON.

        Examples
        --------
        >>> PROFILES["default"].fingerprint() == PROFILES["matching"].fingerprint()
        False
        """
        canonical = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:16]


# Mentions stay in `default`: @moi_bahrain names the agency. Web and e-mail addresses are random strings to a subword
# model, so only their presence is kept.
_DEFAULT_STEPS = (
    "html_entities unicode controls invisible tatweel diacritics digits keyboard_letters urls emails hashtags "
    "elongation repeated_punctuation whitespace"
)
_MATCHING_STEPS = (
    f"{_DEFAULT_STEPS} fold_alef fold_hamza fold_ya fold_ta_marbuta fold_dialect_letters drop_emoji casefold "
    "drop_punctuation double_alef"
)

#: The profiles that come with the library, by name.
PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "default": Profile("default", tuple(_DEFAULT_STEPS.split())),
        "matching": Profile("matching", tuple(_MATCHING_STEPS.split())),
        "arabert": Profile("arabert", ("arabert",)),
        "arabert-twitter": Profile("arabert-twitter", ("arabert_twitter",)),
    }
)


def get_profile(profile: str | Profile) -> Profile:
    """Return the profile of a name; a :class:`Profile` is returned unchanged.

    Raises ValueError if no profile has that name; the message lists the known names. Raises TypeError if it is neither
    a str nor a :class:`Profile`.
    """
    if isinstance(profile, Profile):
        return profile
    if not isinstance(profile, str):
        raise TypeError(f"profile must be a name or a Profile, got {type(profile).__name__}")
    try:
        return PROFILES[profile]
    except KeyError:
        raise ValueError(f"unknown profile {profile!r}; known profiles: {', '.join(PROFILES)}") from None
