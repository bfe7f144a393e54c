"""What is written beside the answers: masks, harmless cells, a manifest, and a foreign model's columns."""

import hashlib
import json
import re
import sys
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tawasul_nlp
from tawasul_nlp.cli.display import summary
from tawasul_nlp.tables import ReadOptions, WriteOptions, classify_table
from tawasul_nlp.tables.errors import MissingColumnError, TableError
from tawasul_nlp.tables.io.cells import SIGNS, UNSEEN, escaped
from tawasul_nlp.tables.io.csv import DELIMITERS, MAX_RECORD_CHARS
from tawasul_nlp.tables.io.formats import open_reader
from tests.robustness.tables import formula_cells, masked_runs, write_cells
from tests.table_files import read, write
from tests.tables.keyword_classifier import Foreign, Listens
from tests.tables.run.test_classify import ENDINGS, TEXTS, records, rejects_of, run

PRIVATE = "المجاري طافحة في مجمع 714، رقمي 39001234 والبطاقة 850101234"


@pytest.mark.parametrize("into", ENDINGS)
@pytest.mark.parametrize("out_of", ENDINGS)
def test_masked_columns_are_written_without_personal_data_and_read_with_it(tmp_path, out_of, into):
    rows = [{"id": 1, "هاتف": "39001234", "text": PRIVATE}, {"id": 2, "هاتف": None, "text": None}]
    source = write(tmp_path / f"backlog{out_of}", rows)
    model = Listens()
    report = classify_table(
        model,
        source,
        tmp_path / f"out{into}",
        text_column="text",
        mask_columns=["text", "هاتف"],
    )
    first, second = read(report.output)
    assert not second["text"]
    assert (first["text"], first["هاتف"]) == ("المجاري طافحة في مجمع 714، رقمي [هاتف] والبطاقة [رقم شخصي]", "[هاتف]")
    assert model.heard[0] == PRIVATE and first["block"] == "714"
    assert "39001234" not in report.output.read_bytes().decode("utf-8", "replace")


def test_a_number_in_a_masked_column_is_masked_and_one_in_a_typed_column_is_refused(tmp_path):
    rows = [{"هاتف": 39001234, "text": "ماي"}, {"هاتف": 7, "text": "ماي"}]
    source = write(tmp_path / "backlog.jsonl", rows)
    for ending in (".jsonl", ".parquet"):
        report = run(source, tmp_path / f"out{ending}", mask_columns=["text", "هاتف"])
        assert [str(row["هاتف"]) for row in read(report.output)] == ["[هاتف]", "7"]
    source = write(tmp_path / "backlog.parquet", rows)
    with pytest.raises(TableError, match="column 'هاتف' holds int64, expected text"):
        run(source, tmp_path / "out.csv", mask_columns=["هاتف"])
    with pytest.raises(MissingColumnError, match="did you mean --mask-column 'text'"):
        run(source, tmp_path / "out.csv", mask_columns=["txt"])
    phones = pa.array(["39001234", "لا يوجد", None]).dictionary_encode()
    pq.write_table(pa.table({"text": TEXTS[:3], "هاتف": phones}), tmp_path / "backlog.parquet")
    out = pq.read_table(run(tmp_path / "backlog.parquet", tmp_path / "out.parquet", mask_columns=["هاتف"]).output)
    assert out["هاتف"].to_pylist() == ["[هاتف]", "لا يوجد", None]
    assert pa.types.is_dictionary(out.schema.field("هاتف").type)


def test_rejected_rows_are_masked_too(tmp_path):
    (tmp_path / "backlog.csv").write_text("id,text\n1,رقمي 39001234,زائد\n", encoding="utf-8")
    assert "39001234" in rejects_of(run(tmp_path / "backlog.csv", tmp_path / "out.csv"))[0]["raw"]
    masked = run(tmp_path / "backlog.csv", tmp_path / "out.csv", mask_columns=["text"])
    assert rejects_of(masked)[0]["raw"] == "1,رقمي [هاتف],زائد\n"


def test_a_rejected_line_of_json_is_masked_after_its_escapes_are_undone(tmp_path):
    escaped = json.dumps("رقمي 39001234")[1:-1]
    digits = "".join(f"\\u{ord(char):04x}" for char in "٣٩٠٠١٢٣٤")
    lines = [
        f'{{"text": "{escaped}",, }}',
        f'{{"text": "\\u0627{digits}"',
        '{"text": {"رقمي": "سطر\\n39001234"}}',
        '{"text": "\\\\u0631\\\\u0642\\\\u0645\\\\u064a39001234", "text": ""}',
        '{"text": "C:\\\\new" ',
    ]
    (tmp_path / "backlog.jsonl").write_text('{"text": "ماي"}\n' + "\n".join(lines), encoding="utf-8")
    raw = [reject["raw"] for reject in rejects_of(run(tmp_path / "backlog.jsonl", tmp_path / "out.csv"))]
    assert raw[0] == lines[0] + "\n", "as it stands, where nothing is to be masked"
    masked = rejects_of(run(tmp_path / "backlog.jsonl", tmp_path / "out.csv", mask_columns=["text"]))
    assert [reject["raw"].strip() for reject in masked] == [
        '{"text": "رقمي [هاتف]",, }',
        '{"text": "ا[هاتف]"',
        '{"text": {"رقمي": "سطر\n[هاتف]"}}',
        '{"text": "رقمي[هاتف]", "text": ""}',
        lines[4].strip(),
    ]


def test_a_rejected_row_keeps_no_number_though_the_masks_would_take_it_for_another(tmp_path):
    rows = ["5,39001234,17,ماي,1", "1,3900\udcff1234,", "2,\udced39001234,", "3,قبل 2026-03-01,,"]
    (tmp_path / "backlog.csv").write_bytes(
        "\n".join(["id,text,note", "0,ماي,", *rows]).encode("utf-8", "surrogateescape")
    )
    report = run(
        tmp_path / "backlog.csv", tmp_path / "out.csv", mask_columns=["text"], read=ReadOptions(encoding="utf-8")
    )
    assert [re.findall(r"\d{4,}", reject["raw"]) for reject in rejects_of(report)] == [[], [], [], []]
    assert "[رقم]" in rejects_of(report)[1]["raw"] and "ماي" in rejects_of(report)[0]["raw"]


def test_a_masked_run_of_a_table_whose_header_is_a_persons_row_is_refused_and_does_not_quote_it(tmp_path):
    for name, content in (("csv", "text,رقمي 39001234\nماي,1\n"), ("jsonl", '{"text": "ماي", "رقمي 39001234": 1}\n')):
        source = tmp_path / f"backlog.{name}"
        source.write_text(content, encoding="utf-8")
        for column in ("text", "txt"):
            with pytest.raises(TableError, match="the name of column 2 holds personal data") as refused:
                run(source, tmp_path / "out.csv", text_column=column, mask_columns=["text"])
            assert "39001234" not in str(refused.value)
        assert run(source, tmp_path / f"{name}.csv").rows_read == 1


def test_values_in_lists_and_objects_are_masked_each_by_itself_and_with_their_names(tmp_path):
    notes = [
        {"رقم": "سطر\n39001234", "أخرى": [1, "39001234"]},
        ["لا شيء", 7],
        {"39001234": 1, "39001235": 2},
        {"اتصلوا": 39001234},
    ]
    source = write(tmp_path / "backlog.jsonl", [{"text": "ماي", "note": note} for note in notes])
    out = [row["note"] for row in read(run(source, tmp_path / "out.jsonl", mask_columns=["note"]).output)]
    assert out[0] == {"رقم": "سطر\n[هاتف]", "أخرى": [1, "[هاتف]"]} and out[1] == notes[1]
    assert out[2] == '{"[هاتف]": 1, "[هاتف]": 2}' and out[3] == '{"اتصلوا": [هاتف]}'


def test_a_masked_run_leaves_nothing_raw():
    assert masked_runs(20, 1).note == ""


FORMULAS = ["=cmd|'/C calc'!A0", "+SUM(A1)", "-2+cmd", "@SUM(1)", "\t=1+1", "- الماي مقطوع", "＝1+1", "=-1"]
FORMULAS += ["نص;=1+1", "نص, -الماي", "\u00a0\u200b=1+1", "\u2212cmd", "﹦1+1", "بند\n- بند"]
SAFE = ["'=cmd|'/C calc'!A0", "'+SUM(A1)", "'-2+cmd", "'@SUM(1)", "\t'=1+1", "'- الماي مقطوع", "'＝1+1", "'=-1"]
SAFE += ["نص;'=1+1", "نص, '-الماي", "\u00a0\u200b'=1+1", "'\u2212cmd", "'﹦1+1", "بند\n'- بند"]
HARMLESS = ["-5", "+973 3900 1234", "-12.5%", "-1.5e-05", "--", "-", "+", "", "'=1", "a=1", "١٢", "-٣٫٥", "المجاري =1"]


def test_cells_that_a_spreadsheet_would_run_get_an_apostrophe_and_are_counted(tmp_path):
    source = write(tmp_path / "backlog.csv", [{"=id": cell, "text": "ماي"} for cell in FORMULAS + HARMLESS])
    report = run(source, tmp_path / "out.csv")
    cells = [row["'=id"] for row in read(report.output)]
    assert cells == SAFE + HARMLESS
    assert report.notes == (
        f"{len(FORMULAS) + 1} cells that a spreadsheet would run as formulas have an apostrophe before the sign (.jsonl and .parquet hold them as they are)",
    )
    typed = run(source, tmp_path / "out.jsonl")
    assert [row["=id"] for row in read(typed.output)] == FORMULAS + HARMLESS
    assert formula_cells("نص;=1+1,2\n", ",") == ["=1+1,2"] and formula_cells('-5,"نص\n+5"\n', ",") == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.text(st.sampled_from("=+-@＝−﹦ \u00a0\u200b\t\r\n,;|\"1٢.e(':aب"), max_size=8), min_size=2, max_size=20
    ),
    st.sampled_from(DELIMITERS),
)
def test_no_cell_is_a_formula_whichever_separator_a_spreadsheet_takes(tmp_path, cells, delimiter):
    write_cells(tmp_path / "cells.csv", [{f"{cells[0]}1": cell, "2": cells[0]} for cell in cells], delimiter)
    table = (tmp_path / "cells.csv").read_bytes().decode()
    assert formula_cells(table, delimiter) == []
    for cell in cells:  # nothing but apostrophes was put in
        assert escaped(cell).replace("'", "") == cell.replace("'", "")


def test_signs_and_unseen_characters_are_those_of_unicode():
    chars = [char for char in map(chr, range(sys.maxunicode + 1)) if not "\ud800" <= char <= "\udfff"]
    signs = {char for char in chars if unicodedata.normalize("NFKC", char)[0] in "=+-@\u2212"}
    assert signs == set(re.findall(f"[{SIGNS}]", "".join(chars)))
    unseen = {char for char in chars if unicodedata.category(char) in ("Cc", "Cf", "Zs", "Zl", "Zp")}
    assert unseen - set("\t\r\n") <= set(re.findall(f"[{UNSEEN}]", "".join(chars)))


def test_the_manifest_tells_what_the_run_was_made_of(tmp_path):
    source = write(tmp_path / "backlog.csv", records())
    report = run(source, tmp_path / "out.parquet", mask_columns=["text"])
    assert [(count.id, count.rows, count.needs_review) for count in report.counts if count.needs_review] == [
        ("none", 2, 2)
    ]
    facts = json.loads((tmp_path / "out.parquet.manifest.json").read_text(encoding="utf-8"))
    facts_of_model = {"hash": "keywords", "priors": {}, "review_on": [], "tasks": ["kind", "topic", "agency"]}
    assert facts["model"] == facts_of_model | dict.fromkeys(("target_error", "runtime", "domain"))
    assert facts["versions"]["tawasul-nlp"] == tawasul_nlp.__version__
    for name, path in (("input", source), ("output", report.output)):
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        assert facts[name] == {"name": path.name, "bytes": len(content), "sha256": sha256}
    assert facts["rows"] == {"read": 5, "written": 5, "rejected": 0, "for_review": 2, "emergencies": 0}
    assert facts["rows_by_label"]["agency"] == {"none": 2, "ewa": 1, "municipality": 1, "works": 1}
    assert (facts["options"]["text_column"], facts["options"]["mask_columns"]) == ("text", ["text"])
    assert facts["started"] <= facts["ended"] and facts["resumed"] == 0


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_model_of_other_tasks_adds_columns_of_its_own(tmp_path, ending):
    source = write(tmp_path / "backlog.csv", records())
    report = classify_table(Foreign(), source, tmp_path / f"out{ending}", text_column="text")
    rows = read(report.output)
    of_tasks = [f"{task}{what}" for task in Foreign.labels for what in ("", "_probability", "_alternatives")]
    places = ["governorate", "block", "town", "quarter", "road", "landmark"]
    assert list(rows[0])[3:] == [*of_tasks, *places, "needs_review", "review_reasons", "doubts"]
    assert [row["urgency"] for row in rows] == ["عاجل", "عادي", "عادي", "عادي", "عادي"]
    alternatives = [{"id": "عادي", "probability": 0.25}]
    assert rows[0]["urgency_alternatives"] == ("عادي=0.25" if ending == ".csv" else alternatives)
    assert report.task == "urgency" and {count.id: count.rows for count in report.counts} == {"عادي": 4, "عاجل": 1}
    assert summary(report).renderables[0].title.plain == "Cases by urgency"


def test_a_wide_table_and_an_endless_row_are_bounded(tmp_path):
    (tmp_path / "wide.csv").write_text("," * 20_000 + "text\n")
    with pytest.raises(TableError, match="has 20,001 columns"):
        open_reader(tmp_path / "wide.csv")
    with (tmp_path / "keys.jsonl").open("w") as file:
        file.writelines(f'{{"text": "", "k{n}": 1}}\n' for n in range(20_000))
    with pytest.raises(TableError, match="has 16,385 columns"):
        open_reader(tmp_path / "keys.jsonl")
    (tmp_path / "long.csv").write_text(f"id,text\n1,{',' * MAX_RECORD_CHARS}\n2,ماي\n", encoding="utf-8")
    report = run(tmp_path / "long.csv", tmp_path / "out.csv")
    assert (report.rows_written, report.rows_rejected) == (1, 1)
    assert "longer than 4,194,304 characters" in rejects_of(report)[0]["reason"]


LONG = "ا" * 500_000  # a million bytes
COLUMNS = {
    "string": lambda texts: pa.array(texts),
    "large string": lambda texts: pa.array(texts, pa.large_string()),
    "view": lambda texts: pa.array(texts, pa.string_view()),
    "dictionary": lambda texts: pa.array(texts).dictionary_encode(),
    "list": lambda texts: pa.array([[text, text] for text in texts]),
    "list of two": lambda texts: pa.array([[text, text] for text in texts], pa.list_(pa.string(), 2)),
    "struct": lambda texts: pa.array([{"a": text} for text in texts]),
    "map": lambda texts: pa.array([[("k", text)] for text in texts], pa.map_(pa.string(), pa.string())),
}


@pytest.mark.slow
@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_a_value_that_a_small_file_repeats_comes_in_small_chunks_and_a_huge_row_is_rejected(tmp_path, column):
    texts = [LONG] * 40 + [LONG * 20] + ["ماي", None] * 10
    table = pa.table({"text": TEXTS[:1] * len(texts), "note": column(texts)})
    pq.write_table(table, tmp_path / "bomb.parquet", compression="zstd")
    assert (tmp_path / "bomb.parquet").stat().st_size < 20_000
    chunks = list(open_reader(tmp_path / "bomb.parquet").chunks())
    assert max(sum(number <= 40 for number in chunk.numbers) for chunk in chunks) <= 5, "of the large rows"
    (reject,) = [reject for chunk in chunks for reject in chunk.rejects]
    assert (reject.row, reject.reason, reject.raw) == (41, "is longer than 16,777,216 bytes", None)
    assert [number for chunk in chunks for number in chunk.numbers] == [n for n in range(1, 62) if n != 41]
    whole = table["note"].to_pylist()
    assert [note for chunk in chunks for note in chunk.column("note")] == whole[:40] + whole[41:]


def test_a_list_of_millions_that_takes_a_few_bytes_is_rejected(tmp_path):
    zeros = pa.ListArray.from_arrays([0, 3, 17_000_003], np.zeros(17_000_003, np.int8))
    pq.write_table(pa.table({"text": TEXTS[:2], "n": zeros}), tmp_path / "bomb.parquet", compression="zstd")
    chunks = list(open_reader(tmp_path / "bomb.parquet").chunks())
    assert [number for chunk in chunks for number in chunk.numbers] == [1]
    assert [reject.row for chunk in chunks for reject in chunk.rejects] == [2]


def test_an_output_that_is_there_is_replaced_only_where_that_is_allowed(tmp_path):
    source, output = write(tmp_path / "backlog.csv", records()), tmp_path / "out.csv"
    output.write_text("ملاحظات الموظف", encoding="utf-8")
    with pytest.raises(TableError, match="out.csv is there already; .* replace it with --force"):
        run(source, output, write=WriteOptions(overwrite=False))
    assert output.read_text(encoding="utf-8") == "ملاحظات الموظف"
    assert run(source, output).rows_read == 5
    assert {*tmp_path.iterdir()} == {source, output, tmp_path / "out.csv.manifest.json"}
