"""What changed between two periods, in sentences: the terminal and the page say the same ones."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from tawasul_nlp.evaluation.case_labels import REVIEW, URGENCY
from tawasul_nlp.evaluation.drift_findings import DriftFindings, LabelMix, PeriodFacts
from tawasul_nlp.evaluation.shifts import ALPHA, LabelChange

Language = Literal["ar", "en"]
Outcome = Literal["changed", "unchanged", "unknown"]
_NAMED = 3
_WORDS_NAMED = 5
_LEFT_TO_RIGHT, _BY_FIRST_LETTER, _END, _NO_BREAK = "\u2066", "\u2068", "\u2069", "\u2060"


@dataclass(frozen=True, slots=True)
class Sentence:
    """What is said of one thing that was, or was not, compared.

    Attributes
    ----------
    about : str
        A dimension, ``vocabulary``, ``TASK confidence`` or ``embedding``.
    outcome : {"changed", "unchanged", "unknown"}
    text : str
    """

    about: str
    outcome: Outcome
    text: str


class Wording:
    """Says in one language what was found.

    Parameters
    ----------
    language : {"ar", "en"}
    result : DriftFindings
    """

    def __init__(self, language: Language, result: DriftFindings) -> None:
        self.language = language
        self._words = _words()[language]
        self._result = result

    def word(self, key: str, **values: object) -> str:
        """Return a word or sentence with values, each of which is isolated from the direction of what is around it."""
        return str(self._words[key]).format_map({name: _isolated(value) for name, value in values.items()})

    def dimension(self, name: str) -> str:
        """Return what a dimension, or what else was compared, is called."""
        if name.endswith(" confidence"):
            return self.word("certaintyOf", task=self.dimension(name.removesuffix(" confidence")))
        if name in self._result.levels:
            return self._result.levels[name][self.language == "en"]
        return str(self._words["dimensions"].get(name, name))

    def label(self, dimension: str, change: LabelChange) -> str:
        """Return what a label is called; a block's number follows the word for a block."""
        if not change.label:
            return self.word("none")
        name = change.name_ar if self.language == "ar" else change.name_en
        return self.word("numbered", level=self.dimension("block"), number=name) if dimension == "block" else name

    def period(self, facts: PeriodFacts) -> str:
        """Return what is known of a period."""
        rows = f"{facts.rows:,}"
        if facts.a_day is None:
            return self.word("period", rows=rows, table=facts.table)
        rate = f"{facts.a_day:,.1f}"
        return self.word("periodDated", rows=rows, first=facts.first, last=facts.last, rate=rate, table=facts.table)

    def verdict(self) -> str:
        """Return in one sentence whether anything changed beyond chance."""
        changed = [self.dimension(name) for name in self._result.changed]
        return self.word("changedNames", names=self._listed(changed)) if changed else self.word("nothingChanged")

    def chance(self, p: float) -> str:
        """Return a p-value in words."""
        return self.word("mayBeChance") if p >= ALPHA else self.word("byChance", n=f"{_round_odds(p):,}")

    def sentences(self) -> list[Sentence]:
        """Return what is to be said of everything, what changed first and what is unknown last."""
        ranks: dict[Outcome, int] = {"changed": 0, "unchanged": 1, "unknown": 2}
        return sorted(self._sentences(), key=lambda said: ranks[said.outcome])

    def _sentences(self) -> Iterator[Sentence]:
        result = self._result
        for about, test in result.tests.items():
            outcome: Outcome = "changed" if test.beyond_chance else "unchanged"
            said = self._sentence(about)
            if outcome == "changed":
                said = self.word("withChance", said=said, chance=self.chance(test.adjusted_p))
            yield Sentence(about, outcome, said)
        for dimension, unknown in result.unknown.items():
            key = "no_urgency" if (unknown.reason, dimension) == ("no_column", URGENCY) else unknown.reason
            said = self.word(key, what=self.dimension(dimension), column=unknown.column)
            yield Sentence(dimension, "unknown", said)

    def _sentence(self, about: str) -> str:
        result = self._result
        if about == REVIEW:
            return self._review(result.mixes[REVIEW])
        if about in result.mixes:
            return self._mix(about, result.mixes[about])
        if about == "vocabulary":
            return self._vocabulary()
        if about == "embedding" and result.embedding is not None:
            return self._outcome("embedding", about, auc=f"{result.embedding.auc:.2f}", none="0.50")
        shift = result.confidence[about.removesuffix(" confidence")]
        return self._outcome("confidence", about, before=percent(shift.reference), now=percent(shift.new))

    def _outcome(self, key: str, about: str, **values: str) -> str:
        """Return the sentence of those of a kind that says whether the change is beyond chance."""
        outcome = "Changed" if self._result.tests[about].beyond_chance else "Unchanged"
        return self.word(key + outcome, what=self.dimension(about), **values)

    def _review(self, mix: LabelMix) -> str:
        shares = [(each.reference, each.new) for each in mix.changes if each.label == "true"]
        before, now = shares[0] if shares else (0.0, 0.0)
        return self._outcome("share", REVIEW, before=percent(before), now=percent(now))

    def _mix(self, dimension: str, mix: LabelMix) -> str:
        single = [each for each in mix.changes if each.beyond_chance]
        changes = self._joined(self._change(dimension, each) for each in (single or mix.changes)[:_NAMED])
        together = self._result.tests[dimension].beyond_chance and not single
        if together:
            return self.word("mixTogether", what=self.dimension(dimension), changes=changes)
        return self._outcome("mix", dimension, changes=changes)

    def _change(self, dimension: str, change: LabelChange) -> str:
        key = "rose" if change.new > change.reference else "fell"
        shares = {"before": percent(change.reference), "now": percent(change.new)}
        return self.word(key, label=self.label(dimension, change), **shares)

    def _vocabulary(self) -> str:
        said = []
        for key, sign in (("usedMore", 1), ("usedLess", -1)):
            words = [each.word for each in self._result.words if each.beyond_chance and each.z * sign > 0]
            if words:
                said.append(self.word(key, words=self._listed(words[:_WORDS_NAMED])))
        return self._outcome("words", "vocabulary", changes=self._joined(said))

    def _listed(self, names: Iterable[str]) -> str:
        return ("، " if self.language == "ar" else ", ").join(map(_isolated, names))

    def _joined(self, clauses: Iterable[str]) -> str:
        return ("؛ " if self.language == "ar" else "; ").join(clauses)


def percent(share: float) -> str:
    """Write a share.

    >>> percent(0.0814)
    '8.1%'
    """
    return f"{100 * share:.1f}%"


def unmarked(text: str) -> str:
    """Return a text without the invisible marks of direction, which not every terminal hides."""
    return text.translate(dict.fromkeys(map(ord, (_LEFT_TO_RIGHT, _BY_FIRST_LETTER, _END, _NO_BREAK))))


def _isolated(value: object) -> str:
    """Return a value so that a line of the other direction does not reorder its parts, and no date is broken.

    A number, and a date with its hyphens, reads from left to right; of a name, its first letter decides. What holds
    such values already is a part of the sentence.
    """
    text = re.sub(r"(\d-)(?=\d)", rf"\1{_NO_BREAK}", str(value))
    if _END in text:
        return text
    return f"{_BY_FIRST_LETTER if any(map(str.isalpha, text)) else _LEFT_TO_RIGHT}{text}{_END}"


def _round_odds(p: float) -> int:
    """Return a round number of comparisons in which chance alone does as much less than once.

    >>> _round_odds(0.021), _round_odds(0.0004)
    (40, 2000)
    """
    odds = int(1 / max(p, 1e-9))
    digits = 10 ** (len(str(odds)) - 1)
    return odds // digits * digits


@cache
def _words() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(
        files(__package__).joinpath("drift_words.json").read_text(encoding="utf-8")
    )
    return found
