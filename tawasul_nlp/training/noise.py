"""Character noise for training texts: the slips that hurried citizens make.

Each change keeps the meaning, so the label stays true. Augmented copies are only ever made of training texts.
"""

from __future__ import annotations

import random
import re

# What one letter is often typed as. Every pair was chosen as a slip of spelling, not as another word's letter.
_SLIPS = {
    "أ": "ا",
    "إ": "ا",
    "آ": "ا",
    "ا": "أ",
    "ة": "ه",
    "ه": "ة",
    "ى": "ي",
    "ي": "ى",
    "ؤ": "و",
    "ئ": "ي",
    "ض": "ظ",
    "ظ": "ض",
    "گ": "ق",
    "چ": "ج",
    "ج": "چ",
    "ڤ": "ف",
    "پ": "ب",
}
_FINAL_ONLY = {"ه", "ة", "ي", "ى"}
_INITIAL_ONLY = {"ا"}
_PUNCTUATION = re.compile(r"[.,،؛:!؟?\-–—\"'«»()]+")
_TO_ARABIC_INDIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


def add_noise(text: str, rng: random.Random, rate: float = 0.3) -> str:
    """Return ``text`` with typing noise.

    Parameters
    ----------
    text : str
        The clean text.
    rng : random.Random
        Source of randomness, so that a run can be repeated.
    rate : float
        Chance that a letter which is often mistyped is, in this text.

    Examples
    --------
    >>> add_noise("حفرة كبيرة أمام المدرسة", random.Random(3), rate=1.0)
    'حفره كبيره امام المدرسه'
    """
    words = text.split(" ")
    for index, word in enumerate(words):
        letters = list(word)
        for position, letter in enumerate(letters):
            slip = _SLIPS.get(letter)
            if slip is None:
                continue
            if letter in _FINAL_ONLY and position < len(letters) - 1 or letter in _INITIAL_ONLY:
                continue
            if rng.random() < rate:
                letters[position] = slip
        if len(letters) > 3 and rng.random() < 0.02:
            position = rng.randrange(1, len(letters))
            change = rng.randrange(3)
            if change == 0:  # a dropped letter
                del letters[position]
            elif change == 1:  # two letters in the wrong order
                letters[position - 1], letters[position] = letters[position], letters[position - 1]
            else:  # elongation
                letters[position:position] = [letters[position]] * rng.randrange(1, 4)
        words[index] = "".join(letters)
    noisy = " ".join(word for word in words if word)
    if rng.random() < 0.4:
        noisy = _PUNCTUATION.sub(" ", noisy)
    if rng.random() < 0.15:
        noisy = noisy.translate(_TO_ARABIC_INDIC)
    return " ".join(noisy.split())
