"""Changed copies of sound files and any bytes at all meet our named errors, and never another."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, seeds

SLOW = {"index_database": 25}


def changed(whole, positions, pieces):
    """Cut, overwrite and insert at a few places."""
    data = bytearray(whole)
    for position, (kind, piece) in zip(positions, pieces, strict=False):
        at = int(position * len(data))
        if kind == "insert":
            data[at:at] = piece
        elif kind == "overwrite":
            data[at : at + len(piece)] = piece
        elif kind == "cut":
            del data[at : at + 1 + len(piece)]
        else:
            del data[at:]
    return bytes(data)


# Pieces that mean something to one of the formats, and any bytes.
PIECES = st.one_of(
    st.sampled_from(
        [b'"', b"{", b"[", b",", b"\n", b"\r", b"\x00", b"null", b"-1", b"1e999", b"NaN", b"\xff\xfe", b": *a"]
    ),
    st.sampled_from(
        [b"true", b"99999999999999999999", b"\xed\xa0\xbd", b"&a [*a]", b"!!python/object:os.system", b"\\ud800"]
    ),
    st.binary(max_size=6),
)
CHANGES = st.lists(st.tuples(st.sampled_from(["insert", "overwrite", "cut", "end"]), PIECES), min_size=1, max_size=5)
PLACES = st.lists(st.floats(0, 1, exclude_max=True), min_size=5, max_size=5)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_a_target_survives_what_is_almost_sound(name):
    sound = seeds(name)
    for whole in sound:
        TARGETS[name](whole)

    # The same inputs every time: new ones are looked for with python -m tests.fuzz.
    @settings(derandomize=True, max_examples=SLOW.get(name, 120), suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(sound), PLACES, CHANGES)
    def run(whole, positions, pieces):
        TARGETS[name](changed(whole, positions, pieces))

    run()


@pytest.mark.parametrize("name", [name for name in TARGETS if name not in SLOW])
def test_a_target_survives_any_bytes(name):
    @settings(derandomize=True, max_examples=60)
    @given(st.binary(max_size=200))
    def run(data):
        TARGETS[name](data)

    run()
