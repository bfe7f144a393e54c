"""Arabic text as citizens write it: normalisation by profile, with offsets back to the original."""

from __future__ import annotations

from .normalizer import Normalizer, normalize
from .offsets import NormalizedText
from .profiles import PROFILES, STEPS, Profile

__all__ = ["PROFILES", "STEPS", "NormalizedText", "Normalizer", "Profile", "normalize"]
