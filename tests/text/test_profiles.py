"""Profiles are frozen values that survive being stored."""

from __future__ import annotations

import dataclasses
import json
import pickle

import pytest

from tawasul_nlp.text import PROFILES, STEPS, Normalizer, Profile, normalize


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_survives_json(name: str) -> None:
    profile = PROFILES[name]
    assert Profile.from_dict(json.loads(json.dumps(profile.to_dict()))) == profile


def test_profiles_that_do_the_same_are_equal_whatever_order_the_steps_were_given_in() -> None:
    one, other = Profile("x", ("whitespace", "digits")), Profile("x", ("digits", "whitespace"))
    assert one == other and hash(one) == hash(other) and one.fingerprint() == other.fingerprint()


def test_every_step_changes_the_fingerprint() -> None:
    prints = {Profile("x", (step,)).fingerprint() for step in STEPS}
    assert len(prints) == len(STEPS)


def test_a_profile_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        PROFILES["default"].name = "other"  # type: ignore[misc]


def test_an_unknown_profile_is_answered_with_the_known_names() -> None:
    with pytest.raises(ValueError, match="'strict'.*default, matching, arabert, arabert-twitter"):
        normalize("نص", "strict")


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (("digits", "sparkle"), "sparkle"),
        (("digits", "digits"), "twice"),
        (("arabert", "digits"), "of its own"),
        (("drop_emoji", "name_emoji"), "exclude"),
        ("digits", "tuple"),
    ],
)
def test_steps_that_make_no_sense_are_refused(steps: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Profile("x", steps)


def test_a_stored_profile_of_other_rules_is_refused() -> None:
    stored = PROFILES["default"].to_dict() | {"revision": 99}
    with pytest.raises(ValueError, match="revision 99"):
        Profile.from_dict(stored)


def test_a_stored_profile_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="keys"):
        Profile.from_dict({"name": "x"})


@pytest.mark.parametrize("name", PROFILES)
def test_a_normalizer_can_be_sent_to_another_process(name: str) -> None:
    normalizer = Normalizer(name)
    copy = pickle.loads(pickle.dumps(normalizer))
    assert copy("الشـــارع ٧١٤!!!!") == normalizer("الشـــارع ٧١٤!!!!")
