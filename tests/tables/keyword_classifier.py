"""A small classifier by keyword: it answers from the text alone, so a row that gets another row's answer shows.

Its kin fail in the ways that classifiers do. They stand here so that a worker process loads little.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace

from tawasul_nlp import Prediction
from tawasul_nlp.domain import Domain, Places
from tawasul_nlp.prediction import Issue, LabelScore, Quote, Urgency

TOPICS = {
    "مجاري": ("sewage_overflow", "طفح المجاري", "works", "وزارة الأشغال", "Ministry of Works"),
    "ماي": ("water_outage_pressure", "انقطاع الماء", "ewa", "هيئة الكهرباء والماء", "EWA"),
    "زبالة": ("waste_collection", "رفع القمامة", "municipality", "البلدية", "Municipality"),
}
NOTHING = ("out_of_scope", "خارج النطاق", "none", "لا جهة", "None")


class KeywordClassifier:
    """Answers by the first keyword found; counts how many texts each call got."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def predict(self, texts: list[str], /) -> list[Prediction]:
        self.calls.append(len(texts))
        return [self._answer(text) for text in texts]

    def info(self) -> dict[str, str]:
        return {"model_hash": "keywords"}

    @staticmethod
    def _answer(text: str) -> Prediction:
        topic, topic_ar, agency, agency_ar, agency_en = next((v for k, v in TOPICS.items() if k in text), NOTHING)
        unsure = topic == "out_of_scope"
        block = re.search(r"مجمع (\d+)", text)
        other = LabelScore("road_damage", "أضرار الطرق", "Road damage", 0.125)
        return Prediction(
            text=text,
            labels={
                "kind": LabelScore("complaint", "شكوى", "Complaint", 0.9),
                "topic": LabelScore(topic, topic_ar, topic, 0.30001 if unsure else 0.87504, (other,)),
                "agency": LabelScore(agency, agency_ar, agency_en, 0.9),
            },
            places=Places(governorate="northern" if block else None, block=int(block[1]) if block else None),
            reasons=("out_of_scope", "low_confidence") if unsure else (),
        )


class SeveralIssues(KeywordClassifier):
    """Finds an issue in every keyword, and an emergency in fire."""

    finds_issues = True
    labels = {"kind": ("complaint",), "topic": (), "agency": (), "urgency": ("emergency", "normal")}

    @staticmethod
    def _answer(text: str) -> Prediction:
        main = KeywordClassifier._answer(text)
        found = {text.index(word): (word, *names) for word, names in TOPICS.items() if word in text}
        issues = tuple(
            Issue(
                LabelScore(topic, topic_ar, topic, 0.7),
                LabelScore(agency, agency_ar, agency_en, 0.7),
                0.70001,
                start,
                start + len(word),
            )
            for start, (word, topic, topic_ar, agency, agency_ar, agency_en) in found.items()
        )
        fire = "حريق" in text
        levels = [LabelScore("emergency", "طارئ", "Emergency", 0.8), LabelScore("normal", "عادي", "Normal", 0.2)]
        level, other = levels if fire else reversed(levels)
        reasons = (Quote("حريق", text.index("حريق"), text.index("حريق") + 4),) if fire else ()
        return replace(
            main,
            issues=tuple(sorted(issues, key=lambda issue: issue.topic.id != main.topic.id)),
            urgency=Urgency(level.id, level.name_ar, level.name_en, level.probability, (other,), reasons),
            reasons=("emergency",) if fire else (),
        )


class Other(KeywordClassifier):
    """Another model."""

    def info(self) -> dict[str, str]:
        return {"model_hash": "other"}


class Configured(KeywordClassifier):
    """The same model, told to work in some way."""

    def __init__(self, domain: Domain | None = None, **how: object) -> None:
        super().__init__()
        self.domain = domain
        self._how = how

    def info(self):
        return super().info() | self._how


class Stops(KeywordClassifier):
    """Fails at one of its calls."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self._at = at

    def predict(self, texts: list[str], /) -> list[Prediction]:
        if len(self.calls) == self._at:
            raise MemoryError("no memory")
        return super().predict(texts)


class Listens(KeywordClassifier):
    """Remembers what it heard."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def predict(self, texts: list[str], /) -> list[Prediction]:
        self.heard += texts
        return super().predict(texts)


class OftenLate(KeywordClassifier):
    """Takes longer for some texts, so that workers finish out of order."""

    def predict(self, texts: list[str], /) -> list[Prediction]:
        time.sleep(0.05 if "1" in texts[0] else 0)
        return super().predict(texts)


class Foreign:
    """A model of other tasks than ours."""

    labels = {"urgency": ("عاجل", "عادي"), "sentiment": ("غاضب", "هادئ")}

    def predict(self, texts: list[str], /) -> list[Prediction]:
        return [self._answer(text) for text in texts]

    @staticmethod
    def _answer(text: str) -> Prediction:
        urgent, angry = "طافح" in text, "!" in text
        one, other = ("عاجل", "عادي") if urgent else ("عادي", "عاجل")
        mood = "غاضب" if angry else "هادئ"
        labels = {
            "urgency": LabelScore(one, one, one, 0.75, (LabelScore(other, other, other, 0.25),)),
            "sentiment": LabelScore(mood, mood, mood, 0.6),
        }
        return Prediction(text=text, labels=labels, reasons=("low_confidence",) if angry else ())
