"""A small classifier by keyword: it honours the interface and answers from the text alone, so a swapped row shows."""

from __future__ import annotations

import re
from dataclasses import dataclass

TOPICS = {
    "مجاري": ("sewage_overflow", "طفح المجاري", "works", "وزارة الأشغال", "Ministry of Works"),
    "ماي": ("water_outage_pressure", "انقطاع الماء", "ewa", "هيئة الكهرباء والماء", "EWA"),
    "زبالة": ("waste_collection", "رفع القمامة", "municipality", "البلدية", "Municipality"),
}
NOTHING = ("out_of_scope", "خارج النطاق", "none", "لا جهة", "None")


@dataclass(frozen=True, slots=True)
class Score:
    id: str
    name_ar: str
    name_en: str
    probability: float
    alternatives: tuple[Score, ...] = ()


@dataclass(frozen=True, slots=True)
class Where:
    governorate: str | None
    block: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    kind: Score
    topic: Score
    agency: Score
    needs_review: bool
    reasons: tuple[str, ...]
    places: Where


class KeywordClassifier:
    """Answers by the first keyword found; counts how many texts each call got."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def predict(self, texts: list[str], /) -> list[Answer]:
        self.calls.append(len(texts))
        return [self._answer(text) for text in texts]

    @staticmethod
    def _answer(text: str) -> Answer:
        topic, topic_ar, agency, agency_ar, agency_en = next((v for k, v in TOPICS.items() if k in text), NOTHING)
        unsure = topic == "out_of_scope"
        block = re.search(r"مجمع (\d+)", text)
        other = Score("road_damage", "أضرار الطرق", "Road damage", 0.125)
        return Answer(
            text=text,
            kind=Score("complaint", "شكوى", "Complaint", 0.9),
            topic=Score(topic, topic_ar, topic, 0.30001 if unsure else 0.87504, (other,)),
            agency=Score(agency, agency_ar, agency_en, 0.9),
            needs_review=unsure,
            reasons=("out_of_scope", "low_confidence") if unsure else (),
            places=Where("northern" if block else None, int(block[1]) if block else None),
        )
