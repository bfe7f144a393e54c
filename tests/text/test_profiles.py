"""Profiles are frozen values that survive being stored; those of AraBERT do as the `arabert` package (1.0.1) itself does."""

import json
from importlib.resources import files
from pathlib import Path

import pytest

from tawasul_nlp.text import Normalizer, normalize, profiles
from tawasul_nlp.text.profiles import PROFILES, STEPS, Profile


def test_profiles_that_do_the_same_are_equal_in_whatever_order_and_every_step_changes_the_fingerprint():
    one, other = Profile("x", ("whitespace", "digits")), Profile("x", ("digits", "whitespace"))
    assert one == other and hash(one) == hash(other) and one.fingerprint() == other.fingerprint()
    assert len({Profile("x", (step,)).fingerprint() for step in STEPS}) == len(STEPS)


def test_an_unknown_profile_is_answered_with_the_known_names():
    with pytest.raises(ValueError, match="'strict'.*default, matching, arabert, arabert-twitter"):
        normalize("نص", "strict")


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (("digits", "sparkle"), "sparkle"),
        (("digits", "digits"), "twice"),
        (("arabert", "digits"), "of its own"),
        ("digits", "tuple"),
    ],
)
def test_steps_that_make_no_sense_are_refused(steps, message):
    with pytest.raises(ValueError, match=message):
        Profile("x", steps)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (PROFILES["default"].to_dict() | {"revision": 99}, "revision 99"),
        (PROFILES["default"].to_dict() | {"revision": 1}, "revision 1"),
        (PROFILES["default"].to_dict() | {"revision": 0}, "positive int"),
        ({"name": "x"}, "keys"),
    ],
)
def test_a_stored_profile_of_other_rules_or_without_steps_is_refused(stored, message):
    with pytest.raises(ValueError, match=message):
        Profile.from_dict(stored)


def test_the_bundled_models_profile_is_known_and_means_what_it_meant():
    config = json.loads(files("tawasul_nlp.model").joinpath("bundled/config.json").read_text("utf-8"))
    profile = Profile.from_dict(config["profile"])
    assert profile.fingerprint() == config["profile_fingerprint"]
    assert Profile.from_dict(profile.to_dict()) == profile


def test_a_changed_step_refuses_only_the_profiles_that_use_it(monkeypatch):
    without, with_it = Profile("without", ("digits", "whitespace")), Profile("with it", ("fold_ya", "whitespace"))
    stored = {profile.name: (profile.to_dict(), profile.fingerprint()) for profile in (without, with_it)}
    monkeypatch.setitem(profiles._CHANGED, "fold_ya", 3)
    data, fingerprint = stored["without"]
    assert Profile.from_dict(data).fingerprint() == fingerprint
    data, fingerprint = stored["with it"]
    with pytest.raises(ValueError, match="has revision 3"):
        Profile.from_dict(data)
    assert Profile("with it", with_it.steps).fingerprint() != fingerprint


PAIRS = [json.loads(line) for line in (Path(__file__).parent / "arabert_pairs.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("profile", ["arabert", "arabert-twitter"])
def test_the_result_is_that_of_the_package(profile):
    assert len(PAIRS) > 200
    normalizer = Normalizer(profile)
    different = [pair for pair in PAIRS if normalizer(pair["text"]) != pair[profile]]
    assert different == []
