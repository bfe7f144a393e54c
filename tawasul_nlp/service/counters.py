"""What the service counts for Prometheus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram

from tawasul_nlp import Prediction


class Counters:
    """What ``GET /metrics`` answers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        options: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter("tawasul_requests", "Requests", ["path", "status"], **options)
        self.seconds = Histogram("tawasul_request_seconds", "Time to answer", ["path"], **options)
        self.texts = Counter("tawasul_texts", "Texts classified", **options)
        self.review = Counter("tawasul_texts_for_review", "Texts that an officer should look at", **options)
        self.emergencies = Counter("tawasul_emergencies", "Texts that report danger to life or limb", **options)
        self.cases = Counter("tawasul_cases_added", "Cases added to the index", **options)
        buckets = (1, 2, 4, 8, 16, 32, 64, 128)
        self.batch = Histogram("tawasul_batch_texts", "Texts read together", buckets=buckets, **options)

    def count(self, predictions: Sequence[Prediction]) -> None:
        """Count what was classified."""
        self.texts.inc(len(predictions))
        self.review.inc(sum(prediction.needs_review for prediction in predictions))
        self.emergencies.inc(sum("emergency" in prediction.reasons for prediction in predictions))
