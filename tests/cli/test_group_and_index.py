"""tawasul group and tawasul index, run as a user runs them, on real files with the bundled model."""

import csv
import json
import os
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tawasul_nlp.cli import main
from tawasul_nlp.duplicates import DuplicateGrouper, DuplicateIndex
from tawasul_nlp.tables import group_table
from tawasul_nlp.tables.added_columns import GROUP_COLUMNS
from tests import table_files
from tests.waiting import HANG, wait_until

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
ROWS = [
    ("k-1", "28/02/2026", "الحفرة في شارع المعارض بالحورة كسرت تاير سيارتي"),
    ("k-2", "2026-03-01", "انقطع التيار الكهربائي عن مجمع 1203 بمدينة حمد منذ ساعتين ولا أحد يرد على الطوارئ"),
    ("k-3", "أمس", "انقطع التيار الكهربائي عن مجمع 1203 بمدينة حمد منذ 3 ساعات، ولا أحد يرد على الطوارئ"),
    ("k-4", "", ""),
    ("k-5", "2026-03-02", "انقطع التيار الكهربائي عن مجمع 714 بمدينة عيسى منذ ساعتين ولا أحد يرد على الطوارئ"),
    ("k-6", "2026-03-01T09:15:00+03:00", "الكهربا طافية علينا في مدينة حمد مجمع 1203 من ساعتين ومحد يرد في الطوارئ"),
]
HOLE, POWER, COPY, NOTHING, ELSEWHERE, DIALECT = range(6)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Every test runs in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_csv(name, header=("case_id", "opened", "text"), rows=ROWS):
    with Path(name).open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def write_jsonl(name):
    table_files.write(Path(name), [{"case_id": id, "opened": day, "text": text} for id, day, text in ROWS])


def read(name):
    return table_files.read(Path(name))


def tawasul(*arguments):
    return main([str(argument) for argument in arguments])


def test_a_csv_with_a_mark_is_grouped_with_all_its_rows_columns_and_their_order(capsys):
    write_csv("backlog.csv")
    options = ["--id-column", "case_id", "--date-column", "opened"]
    assert tawasul("group", "backlog.csv", "--text-column", "text", *options, "-o", "grouped.csv") == 0
    assert Path("grouped.csv").read_bytes().startswith(b"\xef\xbb\xbf"), "by which Excel knows its Arabic"
    rows = read("grouped.csv")
    assert list(rows[0]) == ["case_id", "opened", "text", *GROUP_COLUMNS]
    assert [(row["case_id"], row["opened"], row["text"]) for row in rows] == ROWS
    group = [row["incident_id"] for row in rows]
    assert group[POWER] == group[COPY] == group[DIALECT]
    assert len({group[POWER], group[ELSEWHERE], group[HOLE]}) == 3
    assert [row["incident_size"] for row in rows] == ["1", "3", "3", "", "1", "3"]
    assert [row["is_representative"] for row in rows].count("true") == 3
    assert all(0.5 <= float(row["incident_score"]) <= 1 for row in rows if row["incident_score"])
    assert list(rows[NOTHING].values())[3:] == [""] * 4, "a row without text is in no group"
    out = capsys.readouterr().out
    assert "5 cases = 3 incidents; 3 cases (60%) are in 1 incident of several reports" in out
    assert "1 rows have no text" in out and "1 dates could not be read" in out
    assert "6 rows read = 6 written + 0 rejected" in out
    assert "Largest incidents" in out and "مجمع 1203" in out
    assert sorted(path.name for path in Path().iterdir()) == ["backlog.csv", "grouped.csv", "grouped.csv.manifest.json"]


def test_of_a_large_incident_that_is_urgent_the_terminal_shows_the_level_the_report_and_its_words(capsys):
    danger = f"{ROWS[POWER][2]} وسلك مكشوف فيه شرار عند باب الروضة"
    write_csv("backlog.csv", rows=[*ROWS, ("k-7", "2026-03-01", danger)])
    for index in ([], ["--index", "incidents"]):
        options = ["--text-column", "text", "--id-column", "case_id", *index, "--force"]
        assert tawasul("group", "backlog.csv", *options, "-o", "grouped.csv") == 0
        lines = capsys.readouterr().out.splitlines()
        (level,) = (number for number, line in enumerate(lines) if line.split()[2:3] == ["emergency"])
        report, *words = lines[level + 1].split()
        assert report == "k-7" and words and set(words) <= {*danger.split(), "…"}


def test_a_parquet_table_keeps_its_types_and_its_dates_are_read():
    days = [date(2026, 3, 1)] * 3 + [None] + [date(2026, 3, 2)] * 2
    table = pa.table({"opened": days, "text": [text for _, _, text in ROWS], "n": list(range(6))})
    pq.write_table(table, "backlog.parquet")
    assert tawasul("group", "backlog.parquet", "-t", "text", "--date-column", "opened", "-o", "out.parquet") == 0
    after = pq.read_table("out.parquet")
    assert after.schema.names == ["opened", "text", "n", *GROUP_COLUMNS]
    assert after.select(["opened", "text", "n"]).equals(table)
    assert after.schema.field("incident_id").type == pa.int64()
    assert after["incident_size"].to_pylist() == [1, 3, 3, None, 1, 3]


def test_places_and_topics_of_columns_count_and_a_bare_number_is_a_block():
    text = "انقطع التيار الكهربائي عن منزلنا منذ ساعتين ولا أحد يرد على رقم الطوارئ"
    rows = [("1", "714", text), ("2", "1203", text), ("3", "١٢٠٣", text), ("4", "", text)]
    write_csv("backlog.csv", ("case_id", "block", "text"), rows)
    assert tawasul("group", "backlog.csv", "-t", "text", "--place-column", "block", "-o", "out.csv") == 0
    group = [row["incident_id"] for row in read("out.csv")]
    assert group[1] == group[2] != group[0], "other blocks keep equal texts apart"


def test_topics_of_a_column_are_the_models_by_id_or_name_and_others_are_told(capsys):
    text = ROWS[POWER][2]
    rows = [("1", "انقطاع الكهرباء", text), ("2", "power_outage", text), ("3", "طوارئ", text), ("4", "", text)]
    write_csv("backlog.csv", ("case_id", "topic", "text"), rows)
    assert tawasul("group", "backlog.csv", "-t", "text", "--topic-column", "topic", "-o", "out.csv") == 0
    assert "1 of 3 topics are none of the model's, such as 'طوارئ'" in " ".join(capsys.readouterr().out.split())
    assert {row["incident_size"] for row in read("out.csv")} == {"4"}
    cases = [{"text": text, "topic": topic} for _, topic, _ in rows]
    features = DuplicateGrouper.from_pretrained().group(cases).features
    assert features.topics[0].tolist() == features.topics[1].tolist() and features.topics[2, 0] < -1


def test_a_row_that_cannot_be_read_goes_to_the_rejects_and_the_others_are_grouped(capsys):
    write_csv("backlog.csv")
    with Path("backlog.csv").open("a", encoding="utf-8") as file:
        file.write("k-7,2026-03-03,زائد,زائد\n")
    assert tawasul("group", "backlog.csv", "-t", "text", "-o", "out.csv") == 3
    assert [row["case_id"] for row in read("out.csv")] == [name for name, _, _ in ROWS]
    (reject,) = read("out.csv.rejects.jsonl")
    assert reject["row"] == 7 and "4 fields where the header has 3" in reject["reason"]
    out, err = capsys.readouterr()
    assert "7 rows read = 6 written + 1 rejected" in out
    assert err == "tawasul: warning: 1 of 7 rows could not be read; see out.csv.rejects.jsonl\n"
    write_csv("backlog.csv")
    assert tawasul("group", "backlog.csv", "-t", "text", "-o", "out.csv", "--force") == 0
    assert not Path("out.csv.rejects.jsonl").exists(), "rejects of an earlier run are not left behind"


@pytest.mark.parametrize(
    "command",
    [
        ["classify", "backlog.csv", "-o", "out.csv"],
        ["group", "backlog.csv", "-o", "out.csv", "--id-column", "case_id"],
        ["index", "add", "ix", "backlog.csv", "--id-column", "case_id"],
    ],
)
@pytest.mark.parametrize("content", ["رسالة مهمة\n", '["row"]\n', '{"row": 1}\n', "\x00" * 70_000])
def test_a_file_that_holds_no_rejects_is_neither_replaced_nor_removed(command, content, capsys):
    write_csv("backlog.csv")
    Path("letter.txt").write_text(content, encoding="utf-8")
    assert tawasul(*command, "-t", "text", "--rejects", "letter.txt") == 1
    assert "letter.txt exists and does not hold rejects of an earlier run" in capsys.readouterr().err
    assert Path("letter.txt").read_text(encoding="utf-8") == content
    assert sorted(path.name for path in Path().iterdir()) == ["backlog.csv", "letter.txt"]


def test_a_table_of_one_case_and_one_without_any_are_fine(capsys):
    for rows in (ROWS[:1], []):
        write_csv("backlog.csv", rows=rows)
        assert tawasul("group", "backlog.csv", "-t", "text", "-o", "out.csv", "--force") == 0
        assert f"{len(rows)} cases = {len(rows)} incidents" in capsys.readouterr().out
        assert len(read("out.csv")) == len(rows)


def test_with_an_index_ids_stay_and_the_same_backlog_adds_nothing(capsys):
    options = ["-t", "text", "--id-column", "case_id", "--index", "incidents"]
    write_csv("monday.csv", rows=ROWS[:3])
    assert tawasul("group", "monday.csv", *options, "-o", "monday.out.csv") == 0
    assert "3 added to the index, 0 were there already" in capsys.readouterr().out
    write_csv("tuesday.csv", rows=ROWS[3:])
    assert tawasul("group", "tuesday.csv", *options, "-o", "tuesday.out.csv") == 0
    monday, tuesday = read("monday.out.csv"), read("tuesday.out.csv")
    power = monday[POWER]["incident_id"]
    assert (tuesday[2]["incident_id"], tuesday[2]["incident_size"]) == (power, "3")
    assert tuesday[0]["incident_id"] == "" and tuesday[1]["incident_id"] not in {row["incident_id"] for row in monday}
    capsys.readouterr()
    assert tawasul("group", "monday.csv", *options, "-o", "again.csv") == 0
    assert "0 added to the index, 3 were there already" in capsys.readouterr().out
    assert tawasul("group", "tuesday.csv", *options, "-o", "later.csv") == 0
    again, later = read("again.csv"), read("later.csv")
    assert [row["incident_id"] for row in again] == [row["incident_id"] for row in monday]
    # Another of the three reports may stand for them than stood for two, but only one does.
    reports = [row for row in (*again, *later) if row["incident_id"] == power]
    assert [row["is_representative"] for row in reports].count("true") == 1
    alone = [[row["is_representative"] for row in rows if row["incident_id"] != power] for rows in (monday, again)]
    assert alone[0] == alone[1]
    assert again[POWER]["incident_size"] == "3", "the size counts all cases of the index"


def test_an_index_may_join_groups_of_earlier_chunks_while_a_table_is_added():
    hole, sewage = "الحفرة في شارع المعارض كسرت تاير سيارتي", "الماي طافح من المجاري في شارع المعارض"
    texts = [hole, sewage, f"{hole} و{sewage}"]  # the last report shows that the others tell of one incident
    grouper = DuplicateGrouper.from_pretrained()
    alike = grouper.group(texts).explain
    apart, together = alike(0, 1).score, min(alike(0, 2).score, alike(1, 2).score)
    assert apart < together
    grouper = DuplicateGrouper(grouper.classifier, threshold=(apart + together) / 2)
    write_csv("backlog.csv", rows=[(f"k-{at}", "", text) for at, text in enumerate(texts)])
    options = {"text_column": "text", "id_column": "case_id", "index": "ix"}
    report = group_table(grouper, "backlog.csv", "out.csv", **options, chunk_rows=1)
    assert (report.cases, report.incidents, report.grouped_cases, report.known) == (3, 1, 3, 0)
    rows = read("out.csv")
    assert len({row["incident_id"] for row in rows}) == 1 and {row["incident_size"] for row in rows} == {"3"}
    assert [row["is_representative"] for row in rows] == ["false", "false", "true"]
    with DuplicateIndex.open("ix", grouper) as index:
        placed = [index.assignment(row["case_id"]) for row in rows]
    assert [str(one.incident_id) for one in placed] == [row["incident_id"] for row in rows]
    # The table rounds to four places.
    assert [one.score for one in placed] == pytest.approx([float(row["incident_score"]) for row in rows], abs=1e-4)
    again = group_table(grouper, "backlog.csv", "again.csv", **options, chunk_rows=1)
    assert again.known == 3 and read("again.csv") == rows


def test_what_an_index_cannot_know_by_its_id_is_rejected(capsys):
    rows = [ROWS[HOLE], ("", "", ROWS[POWER][2]), ("k-1", "", ROWS[ELSEWHERE][2]), ROWS[HOLE]]
    write_csv("backlog.csv", rows=rows)
    options = ["-t", "text", "--id-column", "case_id", "--index", "incidents"]
    assert tawasul("group", "backlog.csv", *options, "-o", "out.csv") == 3
    assert [row["case_id"] for row in read("out.csv")] == ["k-1", "k-1"]
    first, second = read("out.csv.rejects.jsonl")
    assert [(one["row"], one["line"]) for one in (first, second)] == [(2, 3), (3, 4)]
    assert "has no id" in first["reason"] and "'k-1' of a case with another text" in second["reason"]
    assert json.loads(second["raw"])["text"] == ROWS[ELSEWHERE][2]
    capsys.readouterr()
    assert tawasul("index", "stats", "incidents", "--json") == 0
    assert json.loads(capsys.readouterr().out)["cases"] == 1


def test_an_index_is_filled_queried_counted_and_pruned(capsys):
    write_jsonl("backlog.jsonl")
    fill = ["index", "add", "incidents", "backlog.jsonl", "-t", "text", "--id-column", "case_id"]
    assert tawasul(*fill, "--date-column", "opened") == 0
    assert "5 added to the index, 0 were there already" in capsys.readouterr().out
    assert tawasul(*fill) == 0
    assert "0 added to the index, 5 were there already" in capsys.readouterr().out

    text = "الكهرباء مقطوعة في مجمع 1203 مدينة حمد منذ ساعتين ولا أحد يرد على الطوارئ"
    assert tawasul("index", "query", "incidents", text, "-k", "2", "--json") == 0
    matches = json.loads(capsys.readouterr().out)
    assert len(matches) == 1, "the same elsewhere is impossible"
    assert matches[0]["is_duplicate"] and not matches[0]["is_closed"] and matches[0]["size"] == 3
    assert matches[0]["representative"] in {"k-2", "k-3", "k-6"}
    assert tawasul("index", "query", "incidents", text) == 0
    out = capsys.readouterr().out
    assert "duplicate · incident" in out and matches[0]["text"][:40] in out

    assert tawasul("index", "stats", "incidents") == 0
    out = capsys.readouterr().out.split()
    assert out[out.index("cases") + 1] == "5" and out[out.index("incidents") + 1] == "3"
    assert tawasul("index", "remove", "incidents", "k-1", "absent") == 1
    assert "no case 'absent'; nothing was removed" in capsys.readouterr().err
    assert tawasul("index", "remove", "incidents", "k-1", matches[0]["representative"]) == 0
    assert capsys.readouterr().out == "2 removed, 3 left\n"
    assert tawasul("index", "query", "incidents", text, "--json", "-k", "1") == 0
    (match,) = json.loads(capsys.readouterr().out)
    assert (match["incident_id"], match["size"]) == (matches[0]["incident_id"], 2)
    assert sorted(path.name for path in Path().iterdir()) == ["backlog.jsonl", "incidents"]

    assert tawasul("index", "close", "incidents", match["incident_id"], "--reopen-days", "60") == 0
    capsys.readouterr()
    assert tawasul("index", "stats", "incidents", "--json") == 0
    assert json.loads(capsys.readouterr().out)["reopen_days"] == 60


def test_an_index_is_rebuilt_beside_the_one_before_and_keeps_its_ids(capsys):
    write_jsonl("backlog.jsonl")
    assert tawasul("index", "add", "incidents", "backlog.jsonl", "-t", "text", "--id-column", "case_id", "-q") == 0
    with DuplicateIndex.open("incidents") as index:
        before = index.assignments()
    capsys.readouterr()
    assert tawasul("index", "rebuild", "incidents") == 0
    said = "5 cases of 3 incidents, of which 3 keep an id; the index from before is"
    assert capsys.readouterr().out == f"{said} {Path('incidents.old').resolve()}\n"
    with DuplicateIndex.open("incidents") as index:
        assert [one.incident_id for one in index.assignments().values()] == [one.incident_id for one in before.values()]
    assert tawasul("index", "rebuild", "incidents", "--json") == 1
    assert "incidents.old: is there already, of an earlier rebuild or yours" in capsys.readouterr().err


@pytest.mark.slow
def test_people_merge_split_move_close_and_reopen_incidents(capsys):
    write_jsonl("backlog.jsonl")
    assert tawasul("index", "add", "incidents", "backlog.jsonl", "-t", "text", "--id-column", "case_id", "-q") == 0
    with DuplicateIndex.open("incidents") as index:
        of = {name: assignment.incident_id for name, assignment in index.assignments().items()}
    capsys.readouterr()

    def events(*arguments):
        assert tawasul("index", *arguments, "--json") == 0
        return json.loads(capsys.readouterr().out)

    power, hole = of["k-2"], of["k-1"]
    (split, *_) = events("split", "incidents", "k-6", "--by", "نورة", "--note", "عداده هو")
    assert (split["kind"], split["other"], split["case_id"]) == ("split", power, "k-6")
    assert (split["by"], split["note"], split["by_person"]) == ("نورة", "عداده هو", True)
    assert events("merge", "incidents", str(power), str(hole))[0]["kind"] == "merged"
    assert events("move", "incidents", "k-1", str(split["incident"]))[0]["kind"] == "moved"
    (closed,) = events("close", "incidents", str(power), "--at", "2026-03-10")
    assert (closed["kind"], closed["at"]) == ("closed", "2026-03-10T00:00:00+00:00")
    assert events("reopen", "incidents", str(power))[0]["kind"] == "reopened"
    kinds = [event["kind"] for event in events("history", "incidents", str(power))]
    assert kinds[-5:] == ["split", "merged", "moved", "closed", "reopened"]
    assert tawasul("index", "history", "incidents", str(power)) == 0
    out = capsys.readouterr().out
    assert "case k-6 (from" in out and "نورة: عداده هو" in out and "by itself" in out
    assert tawasul("index", "close", "incidents", str(power), "--reopen-days", "60") == 0
    assert f"incident {power} closed" in capsys.readouterr().out
    assert tawasul("index", "export", "incidents", "-o", "incidents.csv", "--min-size", "2") == 0
    assert "incidents written to incidents.csv" in capsys.readouterr().out
    assert {row["incident"]: row["state"] for row in read("incidents.csv")}[str(power)] == "closed"
    assert tawasul("index", "query", "incidents", ROWS[POWER][2]) == 0
    assert f"incident {power} (closed)" in capsys.readouterr().out
    for arguments, message in (
        (("split", "incidents", "absent"), "no case 'absent'"),
        (("merge", "incidents", "99", str(power)), "no incident 99"),
        (("close", "incidents", str(power)), "is closed already, since"),
    ):
        assert tawasul("index", *arguments) == 1
        assert message in capsys.readouterr().err


def test_a_pipe_in_and_out_carries_data_only_on_standard_output():
    write_jsonl("backlog.jsonl")
    command = [sys.executable, "-m", "tawasul_nlp", "group", "-", "-t", "text", "-o", "-", "-q"]
    done = subprocess.run(command, input=Path("backlog.jsonl").read_bytes(), capture_output=True, env=ENVIRONMENT)
    rows = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert (done.returncode, done.stderr) == (0, b"") and [row["case_id"] for row in rows] == [
        name for name, *_ in ROWS
    ]
    assert rows[POWER]["incident_size"] == 3 and rows[NOTHING]["incident_id"] is None
    assert [path.name for path in Path().iterdir()] == ["backlog.jsonl"]


def is_changed_again(log):
    """Whether SQLite's log holds a large transaction and the beginning of the next one."""
    data = log.read_bytes() if log.exists() else b""
    frame = 24 + int.from_bytes(data[8:12], "big")
    # The last page of a transaction has the size of the database in its head.
    ends = (start + frame for start in range(32, len(data) - 24, frame) if any(data[start + 4 : start + 8]))
    return len(data) > max(ends, default=0) > 500_000


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="interrupts are sent otherwise there")
def test_an_interrupted_run_says_what_the_index_has_taken_and_that_stays(capsys):
    write_csv("backlog.csv", rows=[(f"k-{n}", "", f"{ROWS[HOLE][2]} رقم {n}") for n in range(3000)])
    arguments = ["group", "backlog.csv", "-t", "text", "--id-column", "case_id", "--index", "ix", "-o", "out.csv"]
    command = [sys.executable, "-m", "tawasul_nlp", *arguments]
    with subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE) as process:
        log = Path("ix/index.sqlite-wal")
        # Until the first thousand is committed, and the second one is under way.
        wait_until(lambda: is_changed_again(log), process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=HANG)
    said = "interrupted; cases added before stay in the index ix, and no table was written; run it again to resume"
    assert (process.returncode, err.decode()) == (130, f"tawasul: error: {said}\n")
    assert sorted(path.name for path in Path().iterdir()) == ["backlog.csv", "ix"]
    assert tawasul("index", "stats", "ix", "--json") == 0
    assert json.loads(capsys.readouterr().out)["cases"] == 1024


def test_an_impossible_date_of_a_row_counts_as_unread_and_one_of_a_closing_is_refused(capsys):
    days = ("0001-01-01T00:00+03:00", "31/12/9999", "1767225600000", "2026-03-01", "")
    write_csv("backlog.csv", rows=[(f"d-{at}", day, ROWS[HOLE][2]) for at, day in enumerate(days)])
    options = ["-t", "text", "--date-column", "opened", "--id-column", "case_id"]
    for target in ("-o", "out.csv"), ("--index", "ix", "-o", "indexed.csv"):
        assert tawasul("group", "backlog.csv", *options, *target) == 0
        assert "3 dates could not be read" in " ".join(capsys.readouterr().out.split())
    for at, message in (
        ("9999-12-31", "no time of the years"),
        ("2199-01-01", "future"),
        ("٣", "no time of the years"),
    ):
        assert tawasul("index", "close", "ix", "1", "--at", at) == 1
        assert message in " ".join(capsys.readouterr().err.split())
    assert DuplicateIndex.verify("ix").impossible_dates == ()


def test_a_row_with_the_id_of_another_place_is_rejected():
    for name, place in (("first.csv", "مجمع 711"), ("second.csv", "مجمع 1203")):
        write_csv(name, ("case_id", "place", "text"), [("k-1", place, "الكهرباء مقطوعة")])
    options = ["-t", "text", "--id-column", "case_id", "--place-column", "place"]
    assert tawasul("index", "add", "ix", "first.csv", *options) == 0
    assert tawasul("index", "add", "ix", "second.csv", *options) == 3
    assert "'k-1' of a case with another place; remove" in read("tawasul.rejects.jsonl")[0]["reason"]
