"""What pairs of cases are compared by, with real texts and made-up vectors where meaning is not the point."""

import hashlib
import os
import subprocess
import sys
from dataclasses import fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tawasul_nlp.duplicates.cases import Case, as_cases
from tawasul_nlp.duplicates.features import CaseFeatures, code, compute_features, pack, place_keys, unpack
from tawasul_nlp.duplicates.groups import pair_reasons
from tawasul_nlp.duplicates.pair_features import NAMES, conflicting_places, pair_features
from tawasul_nlp.duplicates.pair_scorer import PairScorer
from tawasul_nlp.duplicates.terms import TERMS, rare_terms, read_numbers, weights
from tawasul_nlp.errors import InvalidTextError, ModelFormatError
from tests.duplicates.pair_model import features_of
from tests.growth import LINEAR, growth


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("انقطاع الكهرباء في مجمع 1203 بمدينة حمد", "الكهربا طافية مجمع 1203", False),
        ("انقطاع الكهرباء في مجمع 1203 بمدينة حمد", "انقطاع الكهرباء في مجمع 1205 بمدينة حمد", True),
        ("انقطاع الكهرباء في مدينة حمد", "انقطاع الكهرباء في المحرق", True),
        ("انقطاع الكهرباء في مدينة حمد", "انقطاع الكهرباء من ساعتين", False),
        ("ماسورة مكسورة في الرفاع", "ماسورة مكسورة في الرفاع الغربي", False),
        ("ماسورة مكسورة في الرفاع الغربي", "ماسورة مكسورة في الرفاع الشرقي", True),
        ("ماسورة مكسورة في المنامة", "ماسورة مكسورة في القضيبية", False),
        ("ماسورة مكسورة في القضيبية", "ماسورة مكسورة في الجفير", True),
        ("حفرة بين البسيتين والمحرق", "حفرة في البسيتين", False),
        ("حفرة في شارع الشيخ عيسى بن سلمان", "حفرة في شارع البديع", True),
        ("حفرة في شارع الشيخ عيسى بن سلمان مجمع 714", "حفرة في شارع البديع مجمع 714", True),
        ("حفرة عند تقاطع شارع البديع وشارع الجنبية", "حفرة في شارع البديع", False),
        ("حفرة في طريق 1415 بالمحرق", "حفرة في طريق 203 بالمحرق", True),
        ("انقطاع الكهرباء عن طريق 1415 مجمع 714", "انقطاع الكهرباء عن طريق 1421 مجمع 714", False),
        ("حفرة في طريق 1415", "حفرة في شارع البديع", False),
        ("انقطاع عن مجمع 701 ومجمع 703 ومجمع 705 ومجمع 707", "انقطاع عن مجمع 707", False),
        ("حفر في " + " ومجمع ".join(["المحرق", *map(str, range(201, 216, 2))]), "حفرة في مجمع 215", False),
    ],
)
def test_only_places_that_cannot_be_one_conflict(one: str, other: str, expected: bool) -> None:
    assert conflicting_places(features_of(one, other), np.array([0, 1]), np.array([1, 0])).tolist() == [expected] * 2


SIGNATURES = """
import hashlib
from tawasul_nlp.duplicates.features import signatures
rows = signatures([f"انقطع الماي عن مجمع {block}" for block in range(3000)])
print(hashlib.sha256(rows.astype("<u2").tobytes()).hexdigest()[:16], *rows[714, :4])
"""


@pytest.mark.parametrize(
    "machine",
    [
        {},
        {"RENSA_FORCE_KERNEL": "scalar", "RAYON_NUM_THREADS": "1", "RENSA_MAX_PERM_CACHE_HASHES": "0"},
        {"RAYON_NUM_THREADS": "4", "RENSA_DOC_PAR_BATCH_SIZE": "16", "PYTHONHASHSEED": "7"},
    ],
    ids=["as it is", "without vector instructions", "with four threads"],
)
def test_signatures_are_the_same_on_every_machine(machine: dict[str, str]) -> None:
    command = [sys.executable, "-c", SIGNATURES]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **machine})
    assert done.stdout.split() == ["7c2fce6fadb15398", "62192", "26580", "33676", "42860"]


def test_what_an_index_stores_is_the_same_on_every_machine() -> None:
    features = features_of("الكهربا طافية")
    for place, field in enumerate(fields(CaseFeatures)[:-1]):
        values = getattr(features, field.name)
        setattr(features, field.name, np.arange(values.size).reshape(values.shape).astype(values.dtype) + place % 2)
    (stored,) = pack(features)
    assert (len(stored), hashlib.sha256(stored).hexdigest()[:16]) == (526, "e971b35129e3c6a0")
    assert place_keys(features).tolist() == [3910864293557659901]
    assert code("دوار اللؤلؤ") == 1337134029


def test_an_address_field_counts_before_the_places_of_the_text() -> None:
    features = features_of(
        Case("نقلنا من المحرق والحفرة هني كسرت التاير", place="مدينة حمد مجمع 1203"),
        Case("حفرة في مجمع 1203 مدينة حمد"),
    )
    assert not conflicting_places(features, np.array([0]), np.array([1]))[0]


@pytest.mark.parametrize("place", [714, 714.0, "٧١٤", " 714 ", "714.0"])
def test_a_number_alone_as_a_place_is_a_block_and_ids_and_topics_are_texts(place: object) -> None:
    cells: dict[str, Any] = {"text": "نص", "place": place, "id": 7.0, "topic": 3}
    mapped, case = as_cases([cells, Case(**cells)])
    assert features_of(mapped, case, "حفرة في مجمع 714").blocks[:, 0].tolist() == [714] * 3
    assert (mapped.id, mapped.topic) == (case.id, case.topic) == ("7", "3")


def test_features_survive_packing_and_do_not_depend_on_neighbours_or_processes() -> None:
    texts = [f"حفرة رقم {number} في طريق {number + 100} مجمع 714" for number in range(5)]
    together = features_of(*texts)
    alone = features_of(texts[3])
    restored = unpack([pack(together)[3]], together.vectors[3:4])
    for field in fields(CaseFeatures)[:-1]:
        assert np.array_equal(getattr(alone, field.name)[0], getattr(together, field.name)[3], equal_nan=True)
        assert np.array_equal(getattr(restored, field.name)[0], getattr(together, field.name)[3], equal_nan=True)
        assert getattr(restored, field.name).dtype == getattr(together, field.name).dtype


def test_signatures_estimate_the_overlap_of_shingles() -> None:
    one = "تسرب مياه قوي عند تقاطع طريق 1435 منذ الفجر والشارع غرقان والسيارات متوقفة ولا أحد جاء"
    near = one.replace("قوي", "كبير")
    features = features_of(one, near, "مدرسة البنات بلا مكيفات منذ بداية الفصل والطالبات يعانين من الحر")
    overlap = (features.shingles[0] == features.shingles).mean(1)
    assert overlap[0] == 1.0 and overlap[1] > 0.6 and overlap[2] < 0.1


def test_features_are_the_same_both_ways_and_shares_of_a_value_sum_to_one() -> None:
    features = features_of("حفرة في مجمع 714", "كهربا مقطوعة في المحرق من 3 ايام", "شكرا لكم")
    first, second = np.array([0, 0, 1]), np.array([1, 2, 2])
    table = pair_features(features, first, second)
    assert table.shape == (3, len(NAMES))
    assert np.array_equal(table, pair_features(features, second, first))
    cosine = [at for at, name in enumerate(NAMES) if name.startswith("cosine@")]
    assert np.allclose(table[:, cosine].sum(1), 1.0)


@pytest.mark.parametrize(
    ("one", "other", "differ", "shared"),
    [
        ("تسرب أمام عمارة 12", "تسرب أمام عمارة 48", True, False),
        ("حفرة في طريق 1415 مجمع 714", "حفرة في طريق 1421 مجمع 714", True, False),
        ("حفرة في شارع ابن النفيس وشارع الزبارة", "حفرة في شارع النخيل", True, False),
        ("حفرة من 3 ايام هاتفي 39001234", "حفرة من 5 ايام هاتفي 36605544", False, False),
        ("الكهربا طافية من 3 ايام", "انقطاع الكهرباء منذ ٣ أيام", False, True),
    ],
)
def test_another_house_road_or_street_speaks_against_a_pair_and_amounts_count_only_where_they_are_shared(
    one: str, other: str, differ: bool, shared: bool
) -> None:
    pair, alike = pair_features(features_of(one, other), np.array([0, 0]), np.array([1, 0]))
    differs, shares = (NAMES.index(name) for name in ("numbers_differ", "one_number_shared"))
    assert (bool(pair[differs]), bool(pair[shares]), bool(alike[differs])) == (differ, shared, False)


def test_a_name_that_few_texts_have_tells_more_than_words_that_many_have() -> None:
    features = features_of(
        "حفرة كبيرة جدام برادة النورس وتأذى الناس",
        "عند برادة النورس بالوعة مفتوحة والشارع خطر",
        "الشارع فيه حفرة كبيرة والناس تشتكي من البلدية",
    )
    table = dict(zip(NAMES, pair_features(features, np.array([0, 0]), np.array([1, 2])).T, strict=True))
    rarest = [name for name in NAMES if name.startswith("rarest_shared_word@")]
    level = np.sum([table[name] * float(name.split("@")[1]) for name in rarest], axis=0)
    assert level[0] > level[1] + 2 > 2


def test_a_word_is_one_word_with_article_particle_and_ending() -> None:
    codes = rare_terms("بالمجاري في مجاري")
    assert len(codes) == 1 and codes == rare_terms("والمجاري")
    assert weights(np.array([*codes, -1])).tolist()[1] == 0
    assert weights(np.array(rare_terms("كشكولنتي"))) > weights(np.array(codes)) > 0
    assert len(rare_terms(" ".join(f"كلمة{chr(0x628 + at)}{chr(0x628 + at)}" for at in range(18)))) == TERMS


def test_topics_agree_by_the_probabilities_that_they_share_and_a_callers_own_with_its_like_alone() -> None:
    topics = [{"إنارة": 1.0}, {"إنارة": 1.0}, {"صيانة": 1.0}, {"street_lighting": 0.9, "power_outage": 0.1}, {}]
    topics += [{"street_lighting": 0.5, "power_outage": 0.4}, {"power_outage": 0.7}, {"noise": 0.9}]
    cases = [Case("الشارع ظلام والليتات طافية")] * len(topics)
    vectors = np.ones((len(topics), 128), np.float32)
    features = compute_features(cases, vectors, topics, own_topics={"إنارة", "صيانة"})
    table = pair_features(features, np.array([0, 0, 0, 3, 0, 5, 5, 5]), np.array([1, 2, 3, 0, 4, 6, 7, 4]))
    knots = [row for row, name in enumerate(NAMES) if name.startswith("topics@")]
    alike, other, unknown, half = [0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.5, 0.5]
    assert table[:5, knots].tolist() == [alike, other, unknown, unknown, unknown]
    assert table[5:, knots] == pytest.approx(np.array([half, other, unknown]))
    assert pair_reasons(features, np.array([0, 0]), np.array([1, 2])) == ["near-copy"] * 2
    assert unpack(pack(features), features.vectors).topics.tolist() == features.topics.tolist()


def test_the_quick_way_to_a_score_is_the_table_of_features_times_the_weights() -> None:
    rng = np.random.default_rng(2)
    scorer = PairScorer(rng.normal(size=len(NAMES)), -1.0, 0.5)
    texts = ["حفرة في مجمع 714", "كهربا مقطوعة في المحرق من 3 ايام", "Street light off in Muharraq", "", "حفرة"]
    features = features_of(*(Case(text, topic="roads" if at % 2 else None) for at, text in enumerate(texts)))
    first, second = np.triu_indices(len(texts), 1)
    logits = pair_features(features, first, second) @ scorer.weights + scorer.intercept
    told = (features.length[first] > 0) & (features.length[second] > 0) & ~conflicting_places(features, first, second)
    assert 0 < told.sum() < len(told)
    expected = np.where(told, 1 / (1 + np.exp(-logits)), 0)
    assert scorer.score(features, first, second) == pytest.approx(expected, abs=1e-5)


def test_time_between_two_cases_only_takes_from_the_score() -> None:
    scorer = PairScorer(np.zeros(len(NAMES)), 2.0, 0.5, days=30.0)
    moments = ["2026-01-01", "2026-01-20", "2026-06-01", ""]
    features = features_of(*as_cases({"text": "حفرة في الشارع", "created_at": moment} for moment in moments))
    scores = scorer.score(features, np.array([0, 0, 0]), np.array([1, 2, 3]))
    assert scores[0] == scores[2] > scores[1]


def test_a_scorer_is_read_back_as_it_was_written_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    scorer = PairScorer(np.linspace(-1, 1, len(NAMES)).round(6), -2.5, 0.4)
    scorer.save(tmp_path / "pairs.json")
    again = PairScorer.load(tmp_path / "pairs.json")
    assert np.array_equal(again.weights, scorer.weights) and again.threshold == 0.4
    (tmp_path / "pairs.json").write_text('{"format_version": 99}')
    with pytest.raises(ModelFormatError, match="format version 99"):
        PairScorer.load(tmp_path / "pairs.json")
    (tmp_path / "pairs.json").write_text("{")
    with pytest.raises(ModelFormatError, match="restore the model folder"):
        PairScorer.load(tmp_path / "pairs.json")


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (["نص", None], "case 1 is a NoneType"),
        ([{"body": "نص"}], "case 0 has body"),
        ([{"text": 7}], "the text of case 0 is a int"),
        *(
            (["نص", {"text": "نص", name: value}], f"case 1: {name} {message}")
            for name, value, message in (
                ("created_at", "أمس", "is a str that is no time of the years 1900 to 2200, expected a datetime"),
                ("created_at", np.datetime64("290000-01-01"), "is a datetime64 that is no time of the years 1900 to"),
                *(
                    ("created_at", value, "is an? .* that is no time of the years 1900 to 2200, expected")
                    for value in (
                        *("0001-01-01T00:00+03:00", "9999-12-31", "1900010112345", 20260301, 1_700_000_000_000, True),
                        *(date(1899, 12, 31), datetime.max),
                    )
                ),
                ("embedding", "abc", "is a str, not a vector; expected a row of"),
                ("embedding", [float("nan")] * 128, "holds a number that is not finite"),
            )
        ),
    ],
)
def test_an_invalid_case_is_named_by_its_position(items: list[object], message: str) -> None:
    with pytest.raises(InvalidTextError, match=message) as caught:
        as_cases(items)  # type: ignore[arg-type]
    assert caught.value.index == len(items) - 1  # the last one is the bad one


@pytest.mark.parametrize(
    "moment", ["2026-01-01", " 2026-01-01T00:00 ", "2026-01-01T03:00+03:00", date(2026, 1, 1), datetime(2026, 1, 1)]
)
def test_a_date_is_read_alike_in_a_case_and_in_a_mapping(moment: object) -> None:
    case = Case("نص", created_at=moment)  # type: ignore[arg-type]
    (mapped,) = as_cases([{"text": "نص", "created_at": moment}])
    assert case.created_at == mapped.created_at == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "empty", [None, "", "  ", float("nan"), np.float32("nan"), np.datetime64("NaT", "ns"), "NaT", "NA"]
)
def test_an_empty_cell_counts_as_missing_in_every_field(empty: object) -> None:
    if empty in ("NaT", "NA"):
        empty = getattr(pytest.importorskip("pandas"), str(empty))
    names = [field.name for field in fields(Case) if field.name != "text"]
    (case,) = as_cases([{"text": "نص", **dict.fromkeys(names, empty)}])
    assert [getattr(case, name) for name in names] == [None] * len(names)


def test_a_table_is_refused_and_its_rows_are_cases() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"text": ["حفرة", "انقطاع"], "place": pandas.array(["مجمع 714", None], "string")})
    with pytest.raises(TypeError, match=r"got a DataFrame, expected a list of cases; pass .*df\.to_dict\('records'\)"):
        as_cases(table)
    assert [(case.text, case.place) for case in as_cases(table.to_dict("records"))] == [
        ("حفرة", "مجمع 714"),
        ("انقطاع", None),
    ]
    assert [case.text for case in as_cases(table["text"])] == ["حفرة", "انقطاع"]


@pytest.mark.parametrize(
    ("text", "numbers", "amounts"),
    [
        ("تسرب ماء أمام عمارة ١٢", ["12"], []),
        ("عمارة 5 م 714", ["5", "714"], []),
        ("الماي مقطوع من 3 أيام، رقمي 39001234", [], ["3"]),
        ("الرقم الشخصي 850412345 وللتواصل 3660 5544", [], []),
        ("ننتظر من 3 إلى 5 ايام و٢ مرات", [], ["3", "5", "2"]),
        ("الساعة 7:30 ص يوم 12/3/2026", [], ["7", "30", "12", "3", "2026"]),
        ("بلاغ رقم 44556677 وبلاغي رقم: 123", [], ["44556677", "123"]),
        ("حسمو علي 1,150 دينار", ["1150"], []),
        ("ينتهي في 22 يونيو", [], ["22"]),
        ("سيارة مهملة رقم اللوحة 123456", ["123456"], []),
        ("ba7rainiya 3ndha bas 14 w saknah 3 sneen", ["14"], ["3"]),
        ("شكرا لكم", [], []),
    ],
)
def test_a_number_is_a_thing_s_or_an_amount_or_a_person_s(text: str, numbers: list[str], amounts: list[str]) -> None:
    assert read_numbers(text) == (numbers, amounts)


def test_what_is_known_as_an_address_is_no_number() -> None:
    assert read_numbers("عمارة 12 طريق 1415 مجمع 714", [1415, 714]) == (["12"], [])


@pytest.mark.slow
@pytest.mark.parametrize("piece", ["1", "1,", "1-", "1 ", "1-1 ", "1:", "يوم 1 ", "٣ م ", "39001234 "])
def test_reading_numbers_takes_linear_time(piece: str) -> None:
    assert growth(read_numbers, piece * (80_000 // len(piece))) < LINEAR
