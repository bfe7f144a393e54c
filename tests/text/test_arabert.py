"""The AraBERT profiles against pairs made by the `arabert` package (1.0.1) itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given

from tawasul_nlp.text import Normalizer
from tawasul_nlp.text.arabert import FastPath, build_arabert
from tests.text.test_normalize import ANYTHING

PAIRS = [json.loads(line) for line in (Path(__file__).parent / "arabert_pairs.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("profile", ["arabert", "arabert-twitter"])
def test_the_result_is_that_of_the_package(profile: str) -> None:
    assert len(PAIRS) > 200
    normalizer = Normalizer(profile)
    different = [pair for pair in PAIRS if normalizer(pair["text"]) != pair[profile]]
    assert different == []


@given(ANYTHING)
def test_the_fast_path_gives_what_all_passes_give(text: str) -> None:
    for keep_emoji in (False, True):
        passes = build_arabert(keep_emoji)
        slow = text
        for step in passes:
            slow = step.apply(slow)
        assert FastPath(passes).apply(text) == slow


def test_the_profile_loses_what_its_model_never_saw_and_the_twitter_one_keeps_emoji() -> None:
    assert Normalizer("arabert")("چاي 😀 زين") == "اي زين"
    assert Normalizer("arabert-twitter")("چاي 😀 زين") == "اي 😀 زين"
