"""What changed between two periods: from two classified tables, and from one that a day divides."""

import datetime as dt
import io
import json
import random

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import false_discovery_control, fisher_exact

from tawasul_nlp.cli import main
from tawasul_nlp.domain import Domain
from tawasul_nlp.evaluation.periods import drift
from tawasul_nlp.evaluation.shifts import fisher_p, label_changes, mix_p, word_shifts
from tawasul_nlp.report.names import Name
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.labelled import open_labelled
from tests.packs import KUWAIT
from tests.report.tables import classified, write
from training.corpus import LabelSpace, load_examples

TEXT = "نص الشكوى"
STORM = {"rainwater_pooling", "sewage_overflow", "water_outage_pressure", "power_outage", "water_leak"}
SPRING = dt.date(2026, 3, 1)


def compared(*tables, **options):
    return drift(*(open_labelled(table, TEXT) for table in tables), **options)


def columns(rows):
    """Return rows as a table in memory."""
    return {name: [row[name] for row in rows] for name in rows[0]}


@pytest.fixture(scope="module")
def rows():
    """A winter and a spring, in which storms are told of more than in winter, and of which half is urgent."""
    rng = random.Random(1)
    found = []
    for row in classified(2400):
        wet, late = row["topic"] in STORM, row["opened"] >= SPRING
        if rng.random() < (0 if wet == late else 0.8):
            continue
        urgency = "emergency" if wet and rng.random() < 0.2 else "urgent" if late and rng.random() < 0.5 else "normal"
        town = rng.choice(["سترة", "توبلي", None])
        added = " بعد العاصفة المدارية اتصلوا على 39001234" if wet and late else ""
        found.append(
            row
            | {"kind_probability": 0.9, "urgency": urgency, "urgency_probability": 0.8, "town": town}
            | {"needs_review": rng.random() < (0.4 if late else 0.2), TEXT: row[TEXT] + added}
        )
    return found


@pytest.fixture(scope="module")
def seasons(rows):
    return [row for row in rows if row["opened"] < SPRING], [row for row in rows if row["opened"] >= SPRING]


@pytest.fixture(scope="module")
def result(seasons):
    return compared(*map(columns, seasons))


def once(rows):
    """Return one report of each incident."""
    return list({row["incident_id"]: row for row in reversed(rows)}.values())


def printed(result):
    console = Console(width=1000, file=io.StringIO())
    console.print(result)
    return console.file.getvalue()


def test_what_changed_is_named_with_shares_before_and_now(result, seasons):
    assert {"topic", "urgency", "needs_review", "vocabulary"} <= set(result.changed)
    assert {"governorate", "town", "block", "kind"}.isdisjoint(result.changed)
    leaks = next(each for each in result.mixes["topic"] if each.label == "water_leak")
    shares = [sum(row["topic"] == "water_leak" for row in season) / len(season) for season in map(once, seasons)]
    assert (leaks.reference, leaks.new) == pytest.approx(shares, abs=1e-4) and leaks.beyond_chance
    assert leaks.name_en == "Water leak in the street"
    assert [each.label for each in result.mixes["urgency"]][-1] == "emergency"
    storm = next(word for word in result.words if word.word == "العاصفة")
    assert storm.beyond_chance and storm.reference == 0 < storm.new


def test_one_table_that_a_day_divides_gives_the_same(rows, result):
    divided = compared(columns(rows), since="1/3/2026")
    assert (divided.tests, divided.mixes, divided.words) == (result.tests, result.mixes, result.words)
    assert (divided.since, divided.new.first, divided.reference.last) == ("2026-03-01", "2026-03-01", "2026-02-28")
    assert len(divided.tables) == 1 and divided.tables[0].date_column == "opened"
    # Cases without a date are in neither period, and are counted.
    some = columns(rows)
    some["opened"] = [None if at % 5 == 0 else str(day) for at, day in enumerate(some["opened"])]
    divided = compared(some, since="2026-03-01")
    assert divided.tables[0].undated == len(some["opened"][::5])
    kept = [row for at, row in enumerate(rows) if at % 5]
    sides = [row for row in kept if row["opened"] < SPRING], [row for row in kept if row["opened"] >= SPRING]
    assert [divided.reference.rows, divided.new.rows] == [len(once(side)) for side in sides]


def test_the_terminal_and_the_page_say_the_same_and_agree_with_the_figures(result, tmp_path):
    result.to_html(tmp_path / "drift.html")
    page = (tmp_path / "drift.html").read_text(encoding="utf-8")
    lines = printed(result).splitlines()
    said = [line.strip().split(maxsplit=1) for line in lines if line.startswith(("changed", "unch"))]
    assert len(said) == len(result.tests)
    for outcome, sentence in said:
        assert f'<span class="outcome {outcome}">{outcome}</span><span>{sentence}' in unmarked(page)
    assert sum(outcome == "changed" for outcome, _ in said) == len(result.changed)
    for name, test in result.tests.items():
        assert (name in result.changed) == test.beyond_chance == (test.adjusted_p < 0.05)
    assert "Topics: Water leak in the street rose from" in "\n".join(lines)
    assert "ارتفعت نسبة تسرب مياه من" in unmarked(page)


def unmarked(text):
    return text.translate(dict.fromkeys((0x2060, 0x2066, 0x2068, 0x2069)))


def test_no_label_is_beyond_chance_where_its_mix_is_not(seasons):
    before, now = (columns(season[:60]) for season in seasons)
    before["channel"], now["channel"] = ["a"] * 30 + ["b"] * 30, ["a"] * 27 + ["b"] * 26 + ["c"] * 7
    before["channel_probability"] = now["channel_probability"] = [1.0] * 60
    result = compared(before, now)
    assert "channel" not in result.changed
    assert all(not each.beyond_chance and each.adjusted_p >= 0.05 for each in result.mixes["channel"])
    assert "channel: no change beyond chance" in printed(result)


def test_what_tables_lack_is_said_with_what_would_add_it(seasons, tmp_path):
    before, now = (columns(season) for season in seasons)
    del before["urgency"], now["town"]
    for table in (before, now):
        table["block"] = [None] * len(table[TEXT])
    result = compared(before, now)
    reasons = {"urgency": "no_column", "town": "no_column", "block": "no_value"}
    assert {name: each.reason for name, each in result.unknown.items()} == reasons
    told = printed(result)
    assert "Urgency: unknown, as not every table has a column urgency, which tawasul classify adds" in told
    assert "Block: unknown, as no case names one" in told
    result.to_html(tmp_path / "drift.html")
    assert "الاستعجال: غير معروف" in unmarked((tmp_path / "drift.html").read_text(encoding="utf-8"))


def test_columns_of_a_prefix_are_read_and_one_that_is_not_there_is_refused(rows):
    added = ("kind", "topic", "agency", "urgency", "needs_review", "review_reasons", "governorate", "town", "block")
    prefixes = {name: "ai_" if name.removesuffix("_probability") in added else "" for name in rows[0]}
    table = {prefixes[name] + name: cells for name, cells in columns(rows).items()}
    table["topic"] = [None] * len(rows)
    result = compared(table, since=SPRING, prefix="ai_")
    assert "topic" in result.changed
    with pytest.raises(TableError, match="no column no_needs_review .* run tawasul classify on it first"):
        compared(table, since=SPRING, prefix="no_")


def test_names_are_those_of_the_pack_and_blocks_within_towns_are_told_with_them():
    rng = random.Random(2)
    place = [("السالمية", "10"), ("حولي", "3"), ("السالمية", "3")]
    cases = [
        {"text": "الحاوية متروسة", "topic": "waste_collection", "topic_probability": 0.9, "governorate": "hawalli"}
        | {"area": area, "block": block, "needs_review": False, "review_reasons": ""}
        for area, block in rng.choices(place, k=200)
    ]
    now = [case | {"block": "3", "area": "حولي"} for case in cases]
    result = drift(columns(cases), columns(now), domain=Domain.load(KUWAIT))
    first = result.mixes["block"][0]
    assert (first.name_ar, first.name_en) == ("3، حولي", "3, Hawalli")
    assert "Block 3, Hawalli rose from" in printed(result)


def test_words_and_names_of_a_table_hold_no_personal_data(seasons, tmp_path):
    before, now = map(columns, seasons)
    now[TEXT] = [f"{text} راسلوني على zzcomplainer@zzoffice.example.com" for text in now[TEXT]]
    now["channel"], before["channel"] = ["هاتف 39001234"] * len(now[TEXT]), ["موقع"] * len(before[TEXT])
    now["channel_probability"], before["channel_probability"] = [1.0] * len(now[TEXT]), [1.0] * len(before[TEXT])
    result = compared(before, now)
    result.to_html(tmp_path / "drift.html")
    result.to_json(tmp_path / "drift.json")
    for path in (tmp_path / "drift.html", tmp_path / "drift.json"):
        written = path.read_text(encoding="utf-8")
        assert "راسلوني" in written
        assert all(secret not in written for secret in ("39001234", "zzcomplainer", "zzoffice"))


@pytest.mark.slow
def test_what_cannot_be_compared_is_refused_with_what_to_do(rows):
    table, few = columns(rows), columns(rows[:3])
    undated = {name: cells for name, cells in table.items() if name != "opened"}
    for tables, options, message in (
        ([table], {}, "give either a second table or since"),
        ([{TEXT: table[TEXT]}] * 2, {}, "dict is not classified: .* run tawasul classify on it first"),
        ([table, table], {"since": "2026-03-01"}, "give either a second table or since"),
        ([table], {"since": "الربيع"}, "since is 'الربيع', expected a date such as 2026-03-01"),
        ([table], {"since": "9999-12-31"}, "since is '9999-12-31', expected .* of the years 1900 to 2200"),
        ([table], {"since": "2026-01-01"}, "before 2026-01-01 has 0 usable rows; a comparison needs at least 10"),
        ([table, table], {"date_column": TEXT}, f"no date of column '{TEXT}' in dict can be read; write 2026-03-01"),
        ([undated], {"since": SPRING}, "no column of dates by which it could be divided; name one with --date-column"),
        ([few, few], {}, "3 usable rows"),
    ):
        with pytest.raises(ValueError, match=message):
            compared(*tables, **options)


@pytest.mark.slow
def test_the_command_writes_the_page_or_json_and_prints_the_sentences(seasons, tmp_path, capsys):
    old, new = (str(write(tmp_path / f"{n}.csv", season)) for n, season in zip("ab", seasons, strict=True))
    whole = str(write(tmp_path / "all.parquet", [row for season in seasons for row in season]))
    assert main(["drift", old, new, "-t", TEXT, "-o", str(tmp_path / "out.html"), "-q"]) == 0
    assert main(["drift", whole, "--since", "2026-03-01", "-t", TEXT, "-o", str(tmp_path / "out.json")]) == 0
    told = capsys.readouterr().out
    assert "Changed more than chance explains: Topics" in told and f"written: {tmp_path / 'out.json'}" in told
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["tests"]["topic"]["beyond_chance"]
    assert (tmp_path / "out.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert main(["drift", whole, "-t", TEXT]) == 2
    assert "--since DATE" in capsys.readouterr().err
    assert main(["drift", old, new, "-t", TEXT, "-o", str(tmp_path / "out.pdf")]) == 2
    assert "expected a name that ends in .html or .json" in capsys.readouterr().err


def counted(codes, is_new, size):
    """Return how many cases of each label both samples have."""
    return tuple(np.bincount(codes[side], minlength=size) for side in (~is_new, is_new))


@pytest.fixture(scope="module")
def texts():
    return [case.text for case in load_examples("validation", LabelSpace.load())][:400]


def test_p_values_are_twice_the_less_likely_tail_of_scipys_test_adjusted_for_all_labels():
    rng = np.random.default_rng(4)
    old, new = counted(rng.integers(0, 9, 90), np.arange(90) >= 60, 9)
    tails = [
        [fisher_exact([[a, 60 - a], [b, 30 - b]], alternative=tail).pvalue for a, b in zip(old, new, strict=True)]
        for tail in ("less", "greater")
    ]
    ordered = np.sort(np.minimum(1, 2 * np.min(tails, axis=0)))
    assert fisher_p(old + new, new, 90, 30).min() == pytest.approx((ordered * 9 / np.arange(1, 10)).min())


def p_of_mix(old, new):
    present = old + new > 0
    return mix_p(old[present], new[present])


def test_one_label_that_grew_among_a_hundred_and_many_that_grew_a_little_are_a_change_of_the_mix():
    rng = np.random.default_rng(0)
    codes = np.concatenate([rng.integers(0, 100, 150), np.full(17, 100), rng.integers(0, 100, 133)])
    assert p_of_mix(*counted(codes, np.arange(300) >= 150, 101)) < 0.01
    assert p_of_mix(np.array([40, 60] * 10), np.array([60, 40] * 10)) < 0.01


def test_the_most_changed_labels_come_first():
    old, new = np.array([50, 40, 30, 0]), np.array([50, 40, 2, 28])
    names = [Name(id, id, id) for id in "أبجد"]
    changes = label_changes(old, new, names)
    assert [each.label for each in changes[:2]] == ["ج", "د"] and all(each.adjusted_p < 0.05 for each in changes[:2])
    assert (changes[1].reference, changes[1].new) == (0.0, pytest.approx(28 / 120, abs=1e-4))


def test_false_alarms_are_as_rare_as_promised(texts):
    """A hundred comparisons of samples of one population: one in twenty may alarm, by labels and by words."""
    rng = np.random.default_rng(0)
    alarms = {"one mix": 0, "two mixes": 0, "words": 0}
    for _ in range(100):
        mixes = []
        for _ in range(2):
            codes = np.concatenate([np.arange(25), rng.choice(25, 175, p=np.arange(1, 26) / 325)])
            rng.shuffle(codes)
            old, new = counted(codes, np.arange(200) >= 100, 25)
            mixes.append(p_of_mix(old, new))
        alarms["one mix"] += mixes[0] < 0.05
        alarms["two mixes"] += false_discovery_control(mixes).min() < 0.05
        alarms["words"] += word_shifts(texts, rng.permutation(len(texts)) < 200, limit=0)[0] < 0.05
    assert all(count <= 5 for count in alarms.values()), alarms


def test_words_that_rose_and_words_that_fell_are_told_though_one_side_changed_more(texts):
    is_new = np.arange(400) >= 200
    storm = " العاصفة المدارية والأمطار الغزيرة جرفت الحاجز"
    mixed = [
        text + (storm if new and row % 2 else "" if new or row % 5 else " الحر")
        for row, (text, new) in enumerate(zip(texts, is_new, strict=True))
    ]
    changed = word_shifts(mixed, is_new, limit=3)[1]
    assert [word.rose for word in changed] == [True] * 3 + [False] * 3
    assert "الحر" in {word.word for word in changed if not word.rose}
