"""Arabic text as citizens write it: normalisation by profile with offsets, Arabizi, personal data."""

from __future__ import annotations

from .normalizer import NormalizedText, Normalizer, normalize
from .personal.mask import MaskedText, mask_personal_data

__all__ = ["MaskedText", "NormalizedText", "Normalizer", "mask_personal_data", "normalize"]
