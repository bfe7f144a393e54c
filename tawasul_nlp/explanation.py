"""Explain a prediction by the words of the original text that decided it.

Each word is left out in turn, and the drop of the label's log-probability is the word's weight: the simplest faithful
explanation, since it runs the shipped model itself and needs no gradients.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tawasul_nlp.errors import checked_text
from tawasul_nlp.prediction import Prediction, without_controls

if TYPE_CHECKING:
    from rich.text import Text

# A longer text is explained by runs of words, so the cost stays that of one batch.
MAX_PARTS = 64
_NAMED = 8


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the original text and its weight."""

    # Slice of the original text, in characters.
    start: int
    end: int
    # Drop of the label's log-probability (nats) without this part; negative if the part speaks against it.
    weight: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """The weights of a text's words for one prediction."""

    text: str = field(repr=False)
    # The explained prediction: `label` of `task`.
    task: str
    label: str
    # Of the label, for the whole text.
    probability: float
    # In the order of the text; empty if it has no letters or digits.
    spans: tuple[Span, ...]

    def top(self, n: int = 5) -> list[str]:
        """Return the ``n`` words with the most weight for the label, strongest first."""
        ranked = sorted(self.spans, key=lambda span: -span.weight)
        return [self.text[span.start : span.end] for span in ranked[:n] if span.weight > 0]

    def _shades(self) -> list[tuple[str, float]]:
        strongest = max((abs(span.weight) for span in self.spans), default=0.0) or 1.0
        pieces, end = [], 0
        for span in self.spans:
            pieces.append((self.text[end : span.start], 0.0))
            pieces.append((self.text[span.start : span.end], span.weight / strongest))
            end = span.end
        pieces.append((self.text[end:], 0.0))
        return [piece for piece in pieces if piece[0]]

    def __rich__(self) -> Text:
        from rich.text import Text

        line = Text(without_controls(f"{self.task} = {self.label} ({self.probability:.2f})\n"), style="bold")
        for piece, weight in self._shades():
            style = (
                "bold black on green" if weight > 0.5 else "green" if weight > 0.15 else "red" if weight < -0.15 else ""
            )
            line.append(without_controls(piece), style=style or None)
        return line

    def _repr_html_(self) -> str:
        parts = []
        for piece, weight in self._shades():
            colour = "46,160,67" if weight > 0 else "218,54,51"
            shade = f' style="background:rgba({colour},{abs(weight):.2f})"' if abs(weight) > 0.05 else ""
            parts.append(f"<span{shade}>{html.escape(piece)}</span>")
        head = html.escape(f"{self.task} = {self.label} ({self.probability:.2f})")
        return f'<div><div><b>{head}</b></div><div dir="auto" style="line-height:2">{"".join(parts)}</div></div>'


class _Explainable(Protocol):  # what is asked of a ComplaintClassifier, which imports this module
    @property
    def labels(self) -> Mapping[str, Sequence[str]]: ...

    def known_task(self, task: str | None) -> str: ...

    def predict(self, text: str, /) -> Prediction: ...

    def predict_proba(self, texts: list[str], task: str, /) -> np.ndarray: ...


def weigh_words(
    classifier: _Explainable, text: str, task: str | None = None, *, label: str | None = None
) -> Explanation:
    """Weigh every word of ``text`` for the classifier's prediction of ``task``.

    Parameters
    ----------
    classifier : ComplaintClassifier
    text : str
        At most :data:`MAX_PARTS` parts are weighed: single words, or runs of words in a longer text.
    task : str or None
        A task of the model; None for the topic, or for the first task of a model without topics.
        The agency is explained as the group that the model sees, before routing.
    label : str or None
        A label of the task; None for the likeliest, or for the urgency that is answered. Of a multi-label task each
        label can be explained, and so can the topic of each of a prediction's ``issues``.

    Raises
    ------
    InvalidTextError
        If ``text`` is not one str.
    ValueError
        If the model has no such task, or the task no such label.

    Examples
    --------
    >>> from tawasul_nlp import ComplaintClassifier
    >>> clf = ComplaintClassifier.from_pretrained()
    >>> "طافحة" in weigh_words(clf, "المجاري طافحة عندنا من اسبوع").top(2)
    True
    """
    text, task = str(checked_text(text)), classifier.known_task(task)
    names = classifier.labels[task]
    if label is not None and label not in names:
        raise ValueError(f"label is {label!r}, expected one of the labels of {task}: {', '.join(names[:_NAMED])}")
    if not any(map(str.isalnum, text)):  # the model reads nothing of such a text, so no word has a weight
        answer = classifier.predict(text).answer(task)
        if answer is None or label not in (None, answer.id):
            return Explanation(text, task, label or names[0], 0.0, ())
        return Explanation(text, task, answer.id, answer.probability, ())
    urgency = classifier.predict(text).urgency if task == "urgency" and label is None else None
    if urgency is not None:
        label = urgency.id  # it may be preferred to a likelier one
    words = [(match.start(), match.end()) for match in re.finditer(r"\S+", text)]
    run = -(-len(words) // MAX_PARTS) or 1
    parts = [(words[i][0], words[min(i + run, len(words)) - 1][1]) for i in range(0, len(words), run)]
    variants = [text, *(text[:start] + text[end:] for start, end in parts)]
    logs = np.log(classifier.predict_proba(variants, task) + 1e-12)
    best = int(logs[0].argmax()) if label is None else list(names).index(label)
    falls = logs[0, best] - logs[1:, best]
    spans = tuple(Span(start, end, float(fall)) for (start, end), fall in zip(parts, falls, strict=True))
    return Explanation(text, task, names[best], float(np.exp(logs[0, best])), spans)
