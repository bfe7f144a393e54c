"""The AraBERT profiles against pairs made by the `arabert` package (1.0.1) itself."""

import json
from pathlib import Path

import pytest

from tawasul_nlp.text import Normalizer

PAIRS = [json.loads(line) for line in (Path(__file__).parent / "arabert_pairs.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("profile", ["arabert", "arabert-twitter"])
def test_the_result_is_that_of_the_package(profile):
    assert len(PAIRS) > 200
    normalizer = Normalizer(profile)
    different = [pair for pair in PAIRS if normalizer(pair["text"]) != pair[profile]]
    assert different == []
