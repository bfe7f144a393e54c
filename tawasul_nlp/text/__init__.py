"""Arabic text as citizens write it: normalisation by profile with offsets, Arabizi, personal data."""

from __future__ import annotations

from .arabizi import arabizi_to_arabic
from .normalizer import NormalizedText, Normalizer, normalize
from .personal.mask import MaskedText, PersonalDataSpan, find_personal_data, mask_personal_data
from .profiles import PROFILES, STEPS, Profile

__all__ = [
    "PROFILES",
    "STEPS",
    "MaskedText",
    "NormalizedText",
    "Normalizer",
    "PersonalDataSpan",
    "Profile",
    "arabizi_to_arabic",
    "find_personal_data",
    "mask_personal_data",
    "normalize",
]
