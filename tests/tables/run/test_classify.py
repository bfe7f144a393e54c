"""A table goes in and comes out whole: every row, in order, with its answer, or among the rejects with its reason."""

import datetime as dt
import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tawasul_nlp.tables import ReadOptions, WriteOptions, classify_table
from tawasul_nlp.tables.added_columns import classification_columns
from tawasul_nlp.tables.errors import MissingColumnError, RowsLostError, TableError
from tawasul_nlp.tables.io.cells import escaped
from tawasul_nlp.tables.io.chunk import CHUNK_ROWS
from tawasul_nlp.tables.io.formats import open_reader
from tawasul_nlp.tables.run.case_rows import CaseFields, read_cases
from tests.table_files import read, write
from tests.tables.keyword_classifier import KeywordClassifier, Stops

TEXTS = [
    "المجاري طافحة عندنا في مجمع 714",
    "الماي مقطوع من أمس، وين الهيئة؟",
    'قال الموظف "راجعنا باجر"\nوالزبالة للحين مكانها',
    "",
    "شكراً",
]
TOPICS = ["sewage_overflow", "water_outage_pressure", "waste_collection", "out_of_scope", "out_of_scope"]


def records():
    return [{"رقم": f"T-{n}", "text": text, "القناة": "تطبيق"} for n, text in enumerate(TEXTS, 1)]


def run(source, output, **options):
    return classify_table(KeywordClassifier(), source, output, **{"text_column": "text"} | options)


def rejects_of(report):
    return [json.loads(line) for line in report.rejects.read_text(encoding="utf-8").split("\n")[:-1]]


ENDINGS = [".csv", ".jsonl", ".parquet"]


@pytest.mark.parametrize("into", ENDINGS)
@pytest.mark.parametrize("out_of", ENDINGS)
def test_every_format_is_read_and_written_with_all_rows_columns_and_their_order(tmp_path, out_of, into):
    source = write(tmp_path / f"backlog{out_of}", records())
    report = run(source, tmp_path / f"out{into}", chunk_rows=2)
    rows = read(report.output)
    assert list(rows[0]) == ["رقم", "text", "القناة", *classification_columns()]
    assert [{name: row[name] for name in ("رقم", "text", "القناة")} for row in rows] == records()
    assert [row["topic"] for row in rows] == TOPICS
    assert (report.rows_read, report.rows_written, report.rows_rejected, report.rejects) == (5, 5, 0, None)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([source.name, f"out{into}", f"out{into}.manifest.json"])


def test_the_added_values_are_those_of_the_prediction_and_lists_stay_lists_in_jsonl_and_parquet(tmp_path):
    source = write(tmp_path / "backlog.csv", records())
    first, *_, last = read(run(source, tmp_path / "out.csv").output)
    assert first["block"] == "714" and first["town"] == "" and first["governorate"] == "northern"
    assert first["topic_probability"] == "0.875" and first["agency_name_ar"] == "وزارة الأشغال"
    assert first["topic_alternatives"] == "road_damage=0.125"
    assert (last["needs_review"], last["review_reasons"], last["block"]) == ("true", "out_of_scope; low_confidence", "")
    for ending in (".jsonl", ".parquet"):
        last = read(run(source, tmp_path / f"out{ending}").output)[-1]
        assert last["review_reasons"] == ["out_of_scope", "low_confidence"]
        assert last["topic_alternatives"] == [{"id": "road_damage", "probability": 0.125}]
        assert last["needs_review"] is True and last["block"] is None


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), st.sampled_from(TEXTS)), min_size=1
    ),
    chunk_rows=st.integers(1, 4),
    into=st.sampled_from(ENDINGS),
)
def test_rows_in_are_rows_out_whatever_the_cells_hold(tmp_path, rows, chunk_rows, into):
    table = [{"note": note, "text": text} for note, text in rows]
    source = write(tmp_path / "backlog.jsonl", table)
    report = run(source, tmp_path / f"out{into}", chunk_rows=chunk_rows)
    written = escaped if into == ".csv" else str
    assert [(row["note"], row["text"]) for row in read(report.output)] == [tuple(map(written, row)) for row in rows]


def test_windows_1256_with_semicolons_comes_out_as_excel_reads_it(tmp_path):
    source = tmp_path / "backlog.csv"
    source.write_bytes("رقم;text\r\n1;المجاري طافحة؛ الريحة قوية\r\n2;الماي مقطوع\r\n".encode("windows-1256"))
    report = run(source, tmp_path / "out.csv")
    raw = report.output.read_bytes()
    assert raw.startswith("\ufeffرقم;text;kind;".encode())
    assert "المجاري طافحة؛ الريحة قوية" in raw.decode("utf-8-sig")
    assert report.rows_written == 2
    assert run(source, tmp_path / "out.tsv").output.read_bytes().startswith("\ufeffرقم\ttext\tkind\t".encode())


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "cp1256", "utf-16"])
@pytest.mark.parametrize("title", ["شكاوى شهر مارس 2026", 'شكاوى "مارس', "شكاوى,,", "\nشكاوى"])
def test_a_title_above_the_header_of_a_csv_is_left_out_by_the_number_of_the_headers_row(tmp_path, title, codec):
    source = tmp_path / "backlog.csv"
    body = "id,القناة,text\n1,تطبيق,المجاري طافحة\n2,هاتف\n3,هاتف,ماي\n"
    source.write_bytes(f"{title}\n\n{body}".encode(codec))
    row = 3 + title.count("\n")
    if '"' not in title:
        with pytest.raises(MissingColumnError, match="if this is a title above the header, .*--header-row N"):
            run(source, tmp_path / "out.csv", text_column=None)
    report = run(source, tmp_path / "out.csv", read=ReadOptions(header_row=row), chunk_rows=1)
    assert [line["topic"] for line in read(report.output)] == [TOPICS[0], TOPICS[1]]
    assert [(reject["row"], reject["line"]) for reject in rejects_of(report)] == [(2, row + 2)]


def test_rows_of_a_csv_that_cannot_be_read_are_rejected_with_number_line_reason_and_raw_text(tmp_path):
    source = tmp_path / "backlog.csv"
    source.write_bytes(
        "id,text\n1,الماي مقطوع\n2,كلمة,زائدة\n\n3\n".encode()
        + b"4,\xe9\xe8\n"
        + '5,"زبالة\nمن أسبوع"\n6,"قال "لا" وراح"\n7,"لم ينته\n8,المجاري طافحة\n'.encode()
    )
    report = run(source, tmp_path / "out.csv", chunk_rows=2)
    assert [row["id"] for row in read(report.output)] == ["1", "5", "8"]
    assert [row["topic"] for row in read(report.output)] == [TOPICS[1], TOPICS[2], TOPICS[0]]
    assert (report.rows_read, report.rows_written, report.rows_rejected) == (8, 3, 5)
    rejected = rejects_of(report)
    assert [(r["row"], r["line"]) for r in rejected] == [(2, 3), (3, 5), (4, 6), (6, 9), (7, 10)]
    assert [r["reason"] for r in rejected] == [
        "has 3 fields where the header has 2",
        "has 1 field where the header has 2",
        "holds bytes that are not valid in the file's encoding",
        "text follows a closing quote; a quote inside a quoted field must be doubled",
        "a quote is opened and never closed",
    ]
    assert [r["raw"] for r in rejected[:3]] == ["2,كلمة,زائدة\n", "3\n", "4,\\xe9\\xe8\n"]
    assert report.rejects == tmp_path / "out.csv.rejects.jsonl"


def test_an_object_with_many_keys_and_one_twice_is_rejected_in_no_time(tmp_path):
    keys = "".join(f'"k{n}": 1, ' for n in range(100_000))
    (tmp_path / "backlog.jsonl").write_text(f'{{{keys}"k7": 2}}\n{{"text": ""}}\n')
    (reject,) = rejects_of(run(tmp_path / "backlog.jsonl", tmp_path / "out.jsonl"))
    assert "key 100001 of an object is there already" in reject["reason"]


def test_a_blank_line_is_a_row_without_text_where_there_is_one_column_only(tmp_path):
    (tmp_path / "one.csv").write_text("\ntext\nالماي مقطوع\n\n\r\nشكراً\n\n\n", encoding="utf-8", newline="")
    report = run(tmp_path / "one.csv", tmp_path / "out.csv", chunk_rows=2)
    assert [row["text"] for row in read(report.output)] == ["الماي مقطوع", "", "", "شكراً"]
    (tmp_path / "two.csv").write_text("id,text\n1,الماي مقطوع\n\n2,شكراً\n", encoding="utf-8")
    assert [row["id"] for row in read(run(tmp_path / "two.csv", tmp_path / "out.csv").output)] == ["1", "2"]


def test_rows_of_a_jsonl_that_cannot_be_read_are_rejected_with_their_reason(tmp_path):
    source = tmp_path / "backlog.jsonl"
    lines = [
        '{"id": 1, "text": "الماي مقطوع"}',
        '{"id": 2, "text": "لم ينته',
        '["ليس كائنا"]',
        '{"id": 4, "text": 12, "note": "لا تضيع"}\n',
        '{"id": 5, "text": "\\ud83d"}',
        '{"id": 6, "text": "أ", "text": "ب"}',
        '{"id": NaN, "text": "أ"}',
        "[" * 100_000,
        '{"id": 9, "text": null}',
        '{"id": 10}',
    ]
    source.write_text("\n".join(lines), encoding="utf-8")
    report = run(source, tmp_path / "out.jsonl", chunk_rows=3)
    assert [(row["id"], row.get("text")) for row in read(report.output)] == [(1, TEXTS[1][:11]), (9, None), (10, None)]
    reasons = {r["row"]: r["reason"] for r in rejects_of(report)}
    assert list(reasons) == [2, 3, 4, 5, 6, 7, 8]
    assert "not JSON" in reasons[2] and "array, expected an object" in reasons[3]
    assert reasons[4] == "column 'text' holds a JSON number, expected text"
    assert (rejects_of(report)[2]["line"], rejects_of(report)[3]["line"]) == (4, 6)  # a blank line is between them
    assert json.loads(rejects_of(report)[2]["raw"]) == {"id": 4, "text": 12, "note": "لا تضيع"}
    assert "surrogate" in reasons[5] and "key 3 of an object is there already" in reasons[6] and "NaN" in reasons[7]


def test_a_parquet_column_keeps_its_type(tmp_path):
    table = pa.table(
        {
            "id": pa.array([2**62, 1], pa.int64()),
            "opened": pa.array([1_700_000_000_000_000_001, None], pa.timestamp("ns", "Asia/Bahrain")),
            "tags": pa.array([["ماء"], []], pa.list_(pa.large_string())),
            "channel": pa.array(["تطبيق", "موقع"]).dictionary_encode(),
            "text": pa.array(TEXTS[:2], pa.large_string()),
        },
        metadata={"source": "تواصل"},
    )
    pq.write_table(table, tmp_path / "backlog.parquet")
    out = pq.read_table(run(tmp_path / "backlog.parquet", tmp_path / "out.parquet").output)
    assert out.select(table.column_names).cast(table.schema).equals(table)
    assert out.schema.field("opened").type == table.schema.field("opened").type
    assert out.schema.metadata[b"source"] == "تواصل".encode()


BROKEN = pa.StringArray.from_buffers(
    3,
    pa.py_buffer(b"\0\0\0\0\4\0\0\0\6\0\0\0\x0a\0\0\0"),
    pa.py_buffer("ما".encode() + b"\xe9\xe8" + "جو".encode()),
)


def test_a_parquet_string_that_is_not_utf_8_is_rejected_alone(tmp_path):
    pq.write_table(pa.table({"id": [1, 2, 3], "text": BROKEN}), tmp_path / "backlog.parquet")
    report = run(tmp_path / "backlog.parquet", tmp_path / "out.jsonl")
    assert [(row["id"], row["text"]) for row in read(report.output)] == [(1, "ما"), (3, "جو")]
    (reject,) = rejects_of(report)
    assert (reject["row"], json.loads(reject["raw"])) == (2, {"id": 2, "text": "\\xe9\\xe8"})
    pq.write_table(pa.table({"text": BROKEN[1:2]}), tmp_path / "rejected.parquet")  # a chunk without a row
    for ending in ENDINGS:
        report = run(tmp_path / "rejected.parquet", tmp_path / f"none{ending}")
        assert (report.rows_written, report.rows_rejected) == (0, 1)


NESTED = {
    "string": (BROKEN, ["ما", "\\xe9\\xe8", "جو"]),
    "list": (pa.ListArray.from_arrays([0, 2, 2, 3], BROKEN), [["ما", "\\xe9\\xe8"], [], ["جو"]]),
    "struct": (pa.StructArray.from_arrays([BROKEN], ["a"]), [{"a": "ما"}, {"a": "\\xe9\\xe8"}, {"a": "جو"}]),
    "map": (pa.MapArray.from_arrays([0, 1, 2, 2], ["ا", "ب", "ج"], BROKEN), [[["ا", "ما"]], [["ب", "\\xe9\\xe8"]], []]),
}


@pytest.mark.parametrize(("column", "shown"), NESTED.values(), ids=NESTED)
def test_a_string_that_is_not_utf_8_beside_the_text_is_written_with_its_bytes_told(tmp_path, column, shown):
    pq.write_table(pa.table({"text": TEXTS[:3], "note": column}), tmp_path / "backlog.parquet")
    assert [row["note"] for row in read(run(tmp_path / "backlog.parquet", tmp_path / "out.jsonl").output)] == shown
    cells = [row["note"] for row in read(run(tmp_path / "backlog.parquet", tmp_path / "out.csv").output)]
    assert "\\xe9\\xe8" in "".join(cells).replace("\\\\", "\\")
    with pytest.raises(MissingColumnError, match="did you mean --text-column 'text'"):
        run(tmp_path / "backlog.parquet", tmp_path / "out.csv", text_column="نص")


def test_a_parquet_file_whose_column_names_are_not_utf_8_is_refused(tmp_path):
    source = tmp_path / "backlog.parquet"
    pq.write_table(pa.table({"text": TEXTS, "noteX": TEXTS}), source, store_schema=False)
    source.write_bytes(source.read_bytes().replace(b"noteX", b"note\xff"))
    with pytest.raises(TableError, match="not a Parquet file that can be read"):
        open_reader(source)


def test_typed_values_become_plain_text_in_csv_and_json(tmp_path):
    row = {"day": dt.date(2026, 3, 1), "n": 1.5, "flag": True, "raw": b"\xff", "text": "الماي مقطوع"}
    source = write(tmp_path / "backlog.parquet", [row])
    assert read(run(source, tmp_path / "out.jsonl").output)[0]["day"] == "2026-03-01"
    flat = read(run(source, tmp_path / "out.csv").output)[0]
    assert [flat[name] for name in ("day", "n", "flag", "raw")] == ["2026-03-01", "1.5", "true", "/w=="]


# 9e12 seconds are the year 287,170; Python's years end at 9999, and its durations after a billion days.
FAR = 9_000_000_000_000
TIMES = {
    "seconds": (pa.array([FAR, 0], pa.timestamp("s")), "9000000000000000 ms", "1970-01-01T00:00:00"),
    "microseconds": (pa.array([FAR * 10**6, None], pa.timestamp("us")), "9000000000000000000 us", None),
    "zone": (pa.array([FAR, 0], pa.timestamp("s", "Asia/Bahrain")), "9000000000000000 ms", "1970-01-01T04:00:00+04:00"),
    "no zone": (pa.array([0, 1], pa.timestamp("s", "Mars/Phobos")), *(f"1970-01-01T00:00:0{n}+00:00" for n in (0, 1))),
    "nanoseconds": (
        pa.array([2**63 - 1, 1], pa.timestamp("ns")),
        "2262-04-11T23:47:16.854775807",
        "1970-01-01T00:00:00.000000001",
    ),
    "day": (pa.array([2**31 - 1, 0], pa.int32()).view(pa.date32()), "2147483647 days", "1970-01-01"),
    "duration": (pa.array([2**62, 1], pa.duration("s")), f"{2**62} s", "0:00:01"),
    "list": (pa.array([[FAR], [0]], pa.list_(pa.timestamp("s"))), ["9000000000000000 ms"], ["1970-01-01T00:00:00"]),
    "dictionary": (pa.array([FAR], pa.timestamp("s")).dictionary_encode().take([0, 0]), *["9000000000000000 ms"] * 2),
}


@pytest.mark.parametrize(("times", "first", "second"), TIMES.values(), ids=TIMES)
def test_a_time_that_python_has_no_value_for_comes_out_as_its_number(tmp_path, times, first, second):
    pq.write_table(pa.table({"text": TEXTS[:2], "فتح": times}), tmp_path / "backlog.parquet")
    rows = read(run(tmp_path / "backlog.parquet", tmp_path / "out.jsonl").output)
    assert [row["فتح"] for row in rows] == [first, second] and [row["topic"] for row in rows] == TOPICS[:2]
    assert len(read(run(tmp_path / "backlog.parquet", tmp_path / "out.csv").output)) == 2
    kept = pq.read_table(run(tmp_path / "backlog.parquet", tmp_path / "out.parquet").output)["فتح"]
    assert kept.equals(pq.read_table(tmp_path / "backlog.parquet")["فتح"])


def test_a_case_of_the_year_287170_is_grouped_without_a_date(tmp_path):
    dates = pa.array([FAR, 1_772_323_200], pa.timestamp("s"))
    pq.write_table(pa.table({"text": TEXTS[:2], "فتح": dates}), tmp_path / "backlog.parquet")
    (chunk,) = open_reader(tmp_path / "backlog.parquet").chunks()
    _, cases, dates_unread = read_cases(chunk, CaseFields(text=("text",), date="فتح"))
    assert [case.created_at for case in cases] == [None, dt.datetime(2026, 3, 1, tzinfo=dt.UTC)]
    assert dates_unread == 1


def test_json_values_that_no_one_type_holds_become_their_json_in_parquet_large_integers_too(tmp_path):
    rows = [
        {"text": "ماي", "a": 1, "b": 1, "c": [1]},
        {"text": "ماي", "a": 2.5, "b": "س", "c": None},
        {"text": "ماي", "d": True},
    ]
    out = pq.read_table(run(write(tmp_path / "backlog.jsonl", rows), tmp_path / "out.parquet").output)
    assert out["a"].to_pylist() == [1.0, 2.5, None]
    assert out["b"].to_pylist() == ["1", "س", None]
    assert out["c"].to_pylist() == ["[1]", None, None]
    assert out["d"].to_pylist() == [None, None, True]
    rows = [{"text": "ماي", "a": 2**60 + 1, "b": 2**60 + 1, "c": 10**30}, {"text": "ماي", "a": 1, "b": 0.5, "c": 1}]
    out = pq.read_table(run(write(tmp_path / "backlog.jsonl", rows), tmp_path / "out.parquet").output)
    assert out["a"].to_pylist() == [2**60 + 1, 1]
    assert out["b"].to_pylist() == [str(2**60 + 1), "0.5"]
    assert out["c"].to_pylist() == [str(10**30), "1"]


def test_our_columns_get_a_prefix_all_together_when_one_name_is_taken_and_a_chosen_one_where_it_is_too(tmp_path):
    report = run(write(tmp_path / "backlog.csv", [{"agency": "قديم", "text": "الماي مقطوع"}]), tmp_path / "out.csv")
    row = read(report.output)[0]
    assert (row["agency"], row["tawasul_agency"], row["tawasul_topic"]) == ("قديم", "ewa", "water_outage_pressure")
    assert report.added == tuple(f"tawasul_{name}" for name in classification_columns())
    twice = report.output
    with pytest.raises(TableError, match="--prefix"):
        run(twice, tmp_path / "thrice.csv")
    assert "v3_topic" in read(run(twice, tmp_path / "thrice.csv", write=WriteOptions(prefix="v3_")).output)[0]


def test_columns_without_a_name_or_with_the_same_name_lose_no_value(tmp_path):
    source = tmp_path / "backlog.csv"
    source.write_text("id,text,id,\nا,الماي مقطوع,ب,ج\n", encoding="utf-8")
    report = run(source, tmp_path / "out.csv")
    row = read(report.output)[0]
    assert (row["id"], row["id_2"], row["column_4"]) == ("ا", "ب", "ج")
    assert len(report.notes) == 2


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_missing_text_column_is_reported_with_the_columns_and_a_guess(tmp_path, ending):
    source = write(tmp_path / f"backlog{ending}", [{"id": f"T{n}", "ما كتب": TEXTS[0]} for n in range(3)])
    with pytest.raises(
        MissingColumnError, match=r"its columns are 'id', 'ما كتب'; did you mean --text-column 'ما كتب'"
    ):
        run(source, tmp_path / "out.csv", text_column=None)
    with pytest.raises(MissingColumnError, match=r"no column 'ID'.*did you mean --text-column 'id'"):
        run(source, tmp_path / "out.csv", text_column="ID")
    assert [p.name for p in tmp_path.iterdir()] == [source.name]


@pytest.mark.parametrize("ending", ENDINGS)
def test_columns_are_known_by_usual_headings_which_is_said_and_others_can_be_named(tmp_path, ending):
    rows = [{"نص_الشكوي ": TEXTS[0], "ملاحظات": "شكرا", "المنطقه": "مجمع 905"}]
    source = write(tmp_path / f"backlog{ending}", rows)
    report = classify_table(KeywordClassifier(), source, tmp_path / "out.jsonl")
    (row,) = read(report.output)
    assert row["topic"] == TOPICS[0] and row["block"] == "905"
    (note,) = (note for note in report.notes if "headings" in note)
    assert "text 'نص_الشكوي ', place 'المنطقه' (--text-column names another, and '' none)" in note
    report = classify_table(KeywordClassifier(), source, tmp_path / "out.csv", text_column="ملاحظات", place_columns=[])
    assert read(report.output)[0]["block"] == "" and not any("headings" in note for note in report.notes)


class Forgets(KeywordClassifier):
    """Gives one answer too few at its second call."""

    def predict(self, texts, /):
        answers = super().predict(texts)
        return answers[1:] if len(self.calls) > 1 else answers


@pytest.mark.parametrize(("classifier", "error"), [(Stops(1), MemoryError), (Forgets(), RowsLostError)])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_run_that_fails_midway_publishes_nothing_and_leaves_the_old_output(tmp_path, classifier, error, ending):
    classifier.calls.clear()
    source = write(tmp_path / "backlog.csv", records())
    output = tmp_path / f"out{ending}"
    output.write_text("yesterday's")
    with pytest.raises(error) as failed:
        classify_table(classifier, source, output, text_column="text", chunk_rows=2)
    assert failed.value.__notes__ == ["2 rows are done; the same command resumes"]
    assert output.read_text() == "yesterday's"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["backlog.csv", output.name, f"{output.name}.partial"]


def test_a_table_is_read_a_chunk_at_a_time(tmp_path):
    steps, classifier, source = [], KeywordClassifier(), write(tmp_path / "backlog.csv", records() * 5_000)
    classify_table(classifier, source, tmp_path / "out.csv", text_column="text", on_step=steps.append)
    assert max(classifier.calls) == CHUNK_ROWS and sum(classifier.calls) == 25_000
    fractions = [step.fraction_read for step in steps]
    assert fractions[0] < 0.1 and fractions == sorted(fractions) and fractions[-1] == 1.0


def test_a_chunk_of_huge_rows_is_cut_by_size(tmp_path):
    source = write(tmp_path / "backlog.jsonl", [{"text": "ا" * 1_000_000} for _ in range(12)])
    chunks = [len(chunk.numbers) for chunk in open_reader(source).chunks()]
    assert sum(chunks) == 12 and max(chunks) <= 5


def test_rejects_of_an_earlier_run_do_not_outlive_a_clean_one(tmp_path):
    source = tmp_path / "backlog.csv"
    source.write_text("id,text\n1,ماي,زائد\n", encoding="utf-8")
    stale = run(source, tmp_path / "out.csv").rejects
    assert stale.exists()
    source.write_text("id,text\n1,ماي\n", encoding="utf-8")
    run(source, tmp_path / "out.csv")
    assert not stale.exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.csv", None, "there is no file"),
        ("empty.csv", b"", "is empty"),
        ("blank.csv", b"\n\n", "no header line"),
        ("cut.parquet", b"PAR1 and no more", "not a Parquet file that can be read"),
        ("false.parquet", b"id,text\n", "does not begin as one"),
        ("header.csv", b'"id,text\n', "header of .* cannot be read"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_one_line(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError, match=message) as refused:
        run(tmp_path / name, tmp_path / "out.csv")
    assert "\n" not in str(refused.value)


def test_a_header_without_rows_gives_a_header_without_rows(tmp_path):
    (tmp_path / "backlog.csv").write_text("id,text\n")
    report = run(tmp_path / "backlog.csv", tmp_path / "out.csv")
    assert report.rows_read == 0
    assert report.output.read_text(encoding="utf-8-sig").strip().split(",") == ["id", "text", *classification_columns()]
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "backlog.parquet")
    assert run(tmp_path / "backlog.parquet", tmp_path / "out.parquet").rows_read == 0


def test_outputs_that_would_destroy_something_are_refused(tmp_path):
    source = write(tmp_path / "backlog.csv", records())
    (tmp_path / "folder.csv").mkdir()
    for output, message in [
        (source, "is the input itself"),
        (tmp_path / "folder.csv", "not a regular file"),
        (tmp_path / "absent" / "out.csv", "there is no folder"),
        (tmp_path / "out.docx", "does not tell the output's format"),
        (tmp_path / "out.xlsm", "does not tell the output's format; end it in one of .*\\.xlsx"),
    ]:
        with pytest.raises(TableError, match=message):
            run(source, output)
    with pytest.raises(TableError, match="the rejects file .* is the input itself"):
        run(source, tmp_path / "out.csv", write=WriteOptions(rejects=source))
    for rejects in ("out.csv", "OUT.csv", "out.csv.manifest.json"):  # not even where letters have no case
        with pytest.raises(TableError, match=r"the (rejects file|manifest) .* is the (output|rejects file) as well"):
            run(source, tmp_path / "out.csv", write=WriteOptions(rejects=tmp_path / rejects))
    (tmp_path / "out.csv.manifest.json").mkdir()
    with pytest.raises(TableError, match=r"out\.csv\.manifest\.json is not a regular file"):
        run(source, tmp_path / "out.csv")
    assert read(source) == records()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backlog.csv", "folder.csv", "out.csv.manifest.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege there")
def test_a_symbolic_link_is_followed_and_kept(tmp_path):
    source = write(tmp_path / "backlog.csv", records())
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    run(source, tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink() and len(read(tmp_path / "real.csv")) == 5
