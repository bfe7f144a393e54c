"""How the time for a text grows with its length, measured so that a busy machine makes no difference."""

import gc
import statistics
import time

PIECES = 16
LINEAR = 4.0
"""Below this the growth counts as linear: half of the way, in factors, from 1 to what quadratic work gives."""


def growth(work, text, turns=3):
    """Return how much longer one long text takes than its pieces, one after another.

    It is about 1 where the time is proportional to the length and about 16 where it grows with the square. Where it is
    linear the two take equally long, so what slows the machine slows both. Only the processor time of this thread
    counts, without garbage collection, whose cost depends on what other tests have left in memory; of several turns the
    median decides. The work must not remember the last text.

    Examples
    --------
    >>> growth(lambda text: [letter for letter in text], "س" * 160_000) < LINEAR
    True
    >>> growth(lambda text: [letter for letter in text for _ in text], "س" * 1_600) < LINEAR
    False
    """
    size = -(-len(text) // PIECES)
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    work(pieces[0])  # what is made once is made
    ratios = []
    gc.disable()
    try:
        for _ in range(turns):
            start = time.thread_time()
            for piece in pieces:
                work(piece)
            middle = time.thread_time()
            work(text)
            ratios.append((time.thread_time() - middle) / max(middle - start, 1e-6))
    finally:
        gc.enable()
    return statistics.median(ratios)
