"""A small classifier by keyword: it answers from the text alone, so a row that gets another row's answer shows."""

from __future__ import annotations

import re

from tawasul_nlp import Prediction
from tawasul_nlp.domain import Places
from tawasul_nlp.prediction import LabelScore

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
