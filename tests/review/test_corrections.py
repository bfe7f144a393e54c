"""What people wrote into a review changes the table, its incidents, and what a model learns from; nothing else does."""

import json

import pyarrow.parquet as pq
import pytest

from tawasul_nlp.cli import main
from tawasul_nlp.duplicates import DuplicateIndex
from tawasul_nlp.review import apply_corrections, write_review
from tawasul_nlp.tables import classify_table, group_table
from tawasul_nlp.tables.added_columns import added_cell
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.write import write_records
from tawasul_nlp.tables.labelled import open_labelled
from tests import table_files
from tests.review.classified_tables import TAXONOMY, case, write
from tests.table_files import read
from tests.tables.keyword_classifier import SeveralIssues

WASTE = "القمامة متراكمة في الرفاع الشرقي مجمع 925"


def grouped(text, group, size, *, head=True, **more):
    return case(text, **more) | {
        "incident_id": group,
        "incident_size": size,
        "incident_score": 1.0 if head else 0.8,
        "is_representative": head,
    }


ROWS = [
    grouped("المجاري طافحة", 1, 2, unsure=True),
    grouped("المجاري طافحة عندنا", 1, 2, head=False),
    grouped(WASTE, 2, 1, topic="road_damage", unsure=True),
    grouped("شكرا لكم", 3, 1, kind="praise", topic="waste_collection"),
    grouped("حفرة", 4, 1, topic="road_damage"),
]


@pytest.fixture
def table(tmp_path):
    return write(tmp_path / "classified.csv", ROWS)


def filled(table, **answers):
    """Return a review of all cases with what people wrote about some rows: ``r3={"correct_topic": ...}``."""
    review = table.with_name("review.jsonl")
    write_review(table, review, overwrite=True)
    rows = [row | answers.get(row["case"].split("-")[0], {}) for row in read(review)]
    return table_files.write(table.with_name("filled.csv"), rows)


def applied(table, **answers):
    """Apply a review that is filled in so, and return what was done and the rows of the corrected table."""
    output = table.with_name(f"out{table.suffix}")
    return apply_corrections(filled(table, **answers), table, output), read(output)


def changes(before, rows):
    """Return the cells that are others than in a table, by row and column."""
    pairs = enumerate(zip(read(before), rows, strict=True), 1)
    return {(row, name): new[name] for row, (old, new) in pairs for name in old if old[name] != new[name]}


def test_a_review_without_a_word_changes_nothing_and_both_steps_report_the_share_that_is_done(table, tmp_path):
    review, output, reviewing, applying = tmp_path / "review.csv", tmp_path / "out.csv", [], []
    write_review(table, review, on_progress=reviewing.append)
    lessons = tmp_path / "corrections.csv"
    done = apply_corrections(review, table, output, append_to=lessons, on_progress=applying.append)
    assert changes(table, read(output)) == {} and dict(done.changed) == {} and done.lessons == 0
    assert done.table.rows_read == done.table.rows_written == len(ROWS)
    for shares in (reviewing, applying):
        assert shares == sorted(shares) and shares[-1] == 1.0 and 0 < shares[0] <= 0.5


def test_a_corrected_topic_routes_the_case_again_and_it_needs_no_review_but_where_no_place_is_known(table):
    row = applied(table, r5={"correct_topic": "waste_collection"})[1][4]
    assert (row["agency"], row["needs_review"], row["review_reasons"]) == ("municipality", "true", "place_needed")
    table.with_name("out.csv").unlink()
    done, rows = applied(table, r3={"correct_topic": TAXONOMY.topic("waste_collection").name_ar})
    changed = changes(table, rows)
    assert changed[3, "topic"] == "waste_collection" and changed[3, "topic_probability"] == "1.0"
    assert changed[3, "agency"] == "southern_municipality"
    assert changed[3, "agency_name_ar"] == TAXONOMY.agency("southern_municipality").name_ar
    assert changed[3, "needs_review"] == "false" and changed[3, "review_reasons"] == ""
    assert {row for row, _ in changed} == {3} and dict(done.changed) == {"topic": 1, "agency": 1}


def issue(topic, agency, start=0, end=9, probability=0.6):
    return {"topic": topic, "agency": agency, "probability": probability, "start": start, "end": end}


BURST = issue("water_outage_pressure", "ewa", 0, 12)
HOLE = issue("road_damage", "works", 13, 30)
LAMP = issue("street_lighting_fault", "ewa", 31, 50)


def with_issues(path, *of_each, without=()):
    """Write a table with the issues of each case, as classification writes them."""
    rows = []
    for issues in of_each:
        main, *others = issues
        agencies = dict.fromkeys(each["agency"] for each in others if each["agency"] != main["agency"])
        lists = {"issues": issues, "other_topics": [each["topic"] for each in others], "other_agencies": [*agencies]}
        text = f"انقطاع الماء وحفرة في الطريق والإنارة مطفأة {len(rows)}"
        rows.append(case(text, main["topic"], main["agency"], unsure=True, topic_alternatives=[], review_reasons=[]))
        rows[-1] |= {name: value for name, value in lists.items() if name not in without}
    if path.suffix == ".csv":
        rows = [{name: added_cell(value) for name, value in row.items()} for row in rows]
    return table_files.write(path, rows)


def issues_of(row):
    """Return the columns of a row's issues, whatever the format."""
    issues, *others = row["issues"], row["other_topics"], row["other_agencies"]
    if isinstance(issues, str):
        return [json.loads(issues), *(list(filter(None, names.split("; "))) for names in others)]
    return [issues, *others]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_corrected_topic_or_agency_is_that_of_the_main_issue(tmp_path, suffix):
    table = with_issues(tmp_path / f"table.{suffix}", *[[BURST, HOLE, LAMP]] * 5)
    _, rows = applied(
        table,
        r1={"correct_topic": "road_damage"},  # what was another issue is the main one, in its own clause
        r2={"correct_topic": "sewage_overflow"},  # the main one was misread
        r3={"correct_agency": "works"},  # and what remains for the model's agency is told
        r4={"correct_kind": "praise", "checked": "yes"},
    )
    others = ["road_damage", "street_lighting_fault"]
    assert issues_of(rows[0]) == [[HOLE | {"probability": 1.0}, LAMP], ["street_lighting_fault"], ["ewa"]]
    assert rows[0]["agency"] == "works"
    assert issues_of(rows[1]) == [[issue("sewage_overflow", "works", 0, 12, 1.0), HOLE, LAMP], others, ["ewa"]]
    assert issues_of(rows[2]) == [[BURST | {"agency": "works"}, HOLE, LAMP], others, ["ewa"]]
    assert list(map(issues_of, rows[3:])) == list(map(issues_of, read(table)[3:]))


def test_issues_that_classification_wrote_to_parquet_keep_their_types(tmp_path):
    backlog = write(tmp_path / "backlog.csv", [{"text": "المجاري طافحة والماي مقطوع والزبالة متراكمة"}])
    table = classify_table(SeveralIssues(), backlog, tmp_path / "classified.parquet", text_column="text").output
    applied(table, r1={"correct_topic": "water_outage_pressure"})
    before, after = (pq.read_table(path) for path in (table, tmp_path / "out.parquet"))
    assert after.schema == before.schema
    ((old,), (new,)) = before.to_pylist(), after.to_pylist()
    assert new["issues"] == [old["issues"][1] | {"probability": 1.0}, old["issues"][2]]
    assert (new["topic"], new["agency"]) == ("water_outage_pressure", "ewa")
    assert (new["other_topics"], new["other_agencies"]) == (["waste_collection"], ["municipality"])


def test_the_clause_of_an_issue_decides_where_it_goes_and_whether_a_place_is_needed(tmp_path):
    waste, placeless = issue("waste_collection", "muharraq_municipality"), issue("waste_collection", "municipality")
    table = with_issues(tmp_path / "table.jsonl", [BURST, waste], [BURST, placeless], [BURST, placeless])
    topics = dict(zip(("r1", "r2", "r3"), ("waste_collection", "waste_collection", "road_damage"), strict=True))
    _, rows = applied(table, **{row: {"correct_topic": topic} for row, topic in topics.items()})
    assert [(row["agency"], row["needs_review"], row["review_reasons"]) for row in rows] == [
        ("muharraq_municipality", False, []),
        ("municipality", True, ["place_needed"]),
        ("works", True, ["place_needed"]),
    ]


def test_a_table_whose_column_of_issues_was_taken_out_or_spoilt(tmp_path):
    table = with_issues(tmp_path / "table.csv", [BURST, HOLE, LAMP], without=("issues",))
    (row,) = applied(table, r1={"correct_topic": "road_damage"})[1]
    assert (row["other_topics"], row["other_agencies"]) == ("street_lighting_fault", "")
    table = with_issues(tmp_path / "table.csv", [BURST, HOLE])
    table.write_text(table.read_text(encoding="utf-8-sig").replace('""probability""', '""sure""'), encoding="utf-8")
    with pytest.raises(TableError, match=r"row 1 of .* has a cell 'issues' that tawasul classify did not write"):
        applied(table, r1={"correct_topic": "road_damage"})
    table = write(tmp_path / "own.csv", [case("حفرة", issues="كثيرة")])
    assert applied(table, r1={"correct_topic": "road_damage"})[1][0]["issues"] == "كثيرة"


def test_what_people_saw_is_kept_for_training_with_the_labels_that_models_learn(table, tmp_path):
    lessons = tmp_path / "corrections.csv"
    review = filled(
        table,
        r3={"correct_topic": "waste_collection", "correct_kind": "استفسار"},
        r1={"checked": "نعم"},
        r5={"correct_agency": "هيئة الكهرباء والماء"},
    )
    for _ in range(2):  # repeating it adds nothing
        done = apply_corrections(review, table, tmp_path / "out.csv", append_to=lessons)
    assert (done.confirmed, done.lessons) == (1, 3)
    rows = {row["text"]: (row["kind"], row["topic"], row["agency"]) for row in read(lessons)}
    assert rows == {
        WASTE: ("inquiry", "waste_collection", "municipality"),
        "المجاري طافحة": ("complaint", "sewage_overflow", "works"),
        "حفرة": ("complaint", "", "ewa"),
    }, "a group where the place decides, and no topic that another agency owns"
    later = filled(table, r1={"correct_topic": "road_damage"})
    assert apply_corrections(later, table, tmp_path / "out.csv", append_to=lessons).lessons == 3
    assert {row["text"]: row["topic"] for row in read(lessons)}["المجاري طافحة"] == "road_damage"


def test_wrong_rows_are_named_and_then_nothing_is_written(table, tmp_path):
    review = filled(
        table,
        r1={"correct_topic": "road_damge"},
        r3={"correct_incident": "77"},
        r4={"merge_with": "new"},
        r5={"case": "r5-00000000", "checked": "x"},
    )
    with pytest.raises(TableError) as caught:
        apply_corrections(review, table, tmp_path / "out.csv", append_to=tmp_path / "corrections.csv")
    message = str(caught.value)
    assert "correct_topic: 'road_damge' is no topic; did you mean" in message
    assert "correct_incident: expected a number of the table's incidents or new" in message
    assert "merge_with: expected a number of the table's incidents;" in message + ";"
    assert "is about no case of classified.csv, or its text was changed since the review" in message
    assert message.count("row ") >= 4 and WASTE not in message
    assert not (tmp_path / "out.csv").exists() and not (tmp_path / "corrections.csv").exists()


def test_a_table_of_other_programs_may_name_cases_by_their_rows_and_is_refused_where_it_names_none(table, tmp_path):
    own = tmp_path / "own.csv"
    for text, message in (
        (
            "row,correct_kind\n9,praise\n5,praise\n5,inquiry\n",
            "2 is about no case .* 4 is about the same case as row 3",
        ),
        ("id,correct_kind\n5,praise\n", "neither a column 'case' nor 'row'"),
        ("row,correct_kinds\n5,praise\n", "has a column 'correct_kinds', expected some of correct_agency, correct_inc"),
        ("row,correct_kind\n4,praise\n5,praise,more\n", "row 2 of .* has 3 fields where the header has 2; mend it"),
    ):
        own.write_text(text, encoding="utf-8")
        with pytest.raises(TableError, match=message):
            apply_corrections(own, table, tmp_path / "out.csv")
    own.write_text("row,correct_kind\n5,praise\n", encoding="utf-8")
    apply_corrections(own, table, tmp_path / "out.csv")
    assert changes(table, read(tmp_path / "out.csv"))[5, "kind"] == "praise"


def groups(rows):
    return [(int(row["incident_id"]), int(row["incident_size"]), row["is_representative"] == "true") for row in rows]


def test_incidents_are_merged_split_and_moved_in_the_table(table):
    done, rows = applied(table, r1={"merge_with": "3"}, r3={"correct_incident": "4"})
    assert (done.merged, done.moved, done.split) == (1, 1, 0)
    assert groups(rows) == [(3, 3, False), (3, 3, False), (4, 2, False), (3, 3, True), (4, 2, True)]
    done, rows = applied(table, r1={"correct_incident": "new"})
    assert done.split == 1 and groups(rows[:2]) == [(5, 1, True), (1, 1, True)]


def test_a_case_may_move_into_an_incident_that_another_case_leaves(tmp_path):
    rows = [grouped("حفرة في الطريق", 4, 2, head=False, topic="road_damage"), *ROWS]
    table = write(tmp_path / "classified.csv", rows)
    answers = {"r4": {"correct_incident": "4"}, "r1": {"correct_incident": "new"}, "r6": {"checked": "yes"}}
    assert [row["incident_id"] for row in applied(table, **answers)[1]] == ["5", "1", "1", "4", "3", "4"]


def test_a_parquet_table_keeps_its_types(tmp_path):
    table = write(tmp_path / "classified.parquet", ROWS)
    applied(table, r3={"correct_topic": "waste_collection"}, r1={"correct_incident": "new"})
    before, after = (pq.read_table(path) for path in (table, tmp_path / "out.parquet"))
    assert after.schema == before.schema
    row = after.to_pylist()[2]
    assert (row["topic"], row["topic_probability"], row["needs_review"]) == ("waste_collection", 1.0, False)


POWER = "انقطع التيار الكهربائي عن مجمع 1203 بمدينة حمد منذ ساعتين ولا أحد يرد على الطوارئ"
DIALECT = "الكهربا طافية علينا في مدينة حمد مجمع 1203 من ساعتين ومحد يرد في الطوارئ"


@pytest.fixture
def indexed(tmp_path):
    """A table that was added to an index: two reports of one incident, and another incident."""
    from tawasul_nlp.duplicates import DuplicateGrouper

    texts = {"k-1": POWER, "k-2": DIALECT, "k-3": "الحفرة في شارع المعارض بالحورة كسرت تاير سيارتي"}
    rows = [case(text, "power_outage", unsure=True) | {"case_id": id} for id, text in texts.items()]
    classified, folder, table = write(tmp_path / "classified.csv", rows), tmp_path / "index", tmp_path / "grouped.csv"
    grouper = DuplicateGrouper.from_pretrained()
    group_table(grouper, classified, table, text_column="text", id_column="case_id", index=folder)
    return table, folder


def test_an_index_learns_the_decisions_and_repeating_them_changes_nothing(indexed, tmp_path, capsys):
    table, folder = indexed
    first, _, other = (row["incident_id"] for row in read(table))
    review = filled(table, r1={"correct_incident": "new"}, r3={"merge_with": first})
    arguments = ["corrections", "apply", str(review), "--to", str(table), "-o", str(tmp_path / "out.csv")]
    for _ in range(2):
        assert main([*arguments, "--index", str(folder), "--by", "نورة", "--force"]) == 0
    assert "incidents: 1 merged, 0 cases moved, 1 split off" in capsys.readouterr().out
    with DuplicateIndex.open(folder) as index:
        now = {id: each.incident_id for id, each in index.assignments().items()}
        decided = [event.kind for event in index.history() if event.by == "نورة"]
    assert now["k-2"] == now["k-3"] != now["k-1"] and other not in map(str, now.values())
    assert sorted(decided) == ["merged", "split"]
    rows = read(tmp_path / "out.csv")
    assert [row["incident_id"] for row in rows] == [str(now[row["case_id"]]) for row in rows]
    assert [row["incident_size"] for row in rows] == ["1", "2", "2"]


@pytest.mark.parametrize("trouble", ["no folder for the lessons", "the table changes", "no such decision"])
def test_what_fails_midway_leaves_table_index_and_lessons_as_they_were(indexed, tmp_path, monkeypatch, trouble):
    table, folder = indexed
    review = filled(table, r1={"correct_incident": "new"}, r3={"merge_with": read(table)[0]["incident_id"]})
    lessons = tmp_path / ("absent" if trouble.startswith("no folder") else "") / "lessons.csv"

    def on_progress(share):
        if share > 0.5 and trouble == "the table changes":
            table.write_text(table.read_text(encoding="utf-8") + "\n", encoding="utf-8")

    with DuplicateIndex.open(folder) as index:
        before = index.incidents(1), index.history()
        if trouble == "no such decision":  # the merger is carried out before it
            monkeypatch.setattr(index, "split", lambda case, by: index.incident(99))
        with pytest.raises((TableError, KeyError)):
            apply_corrections(
                review, table, tmp_path / "out.csv", index=index, append_to=lessons, on_progress=on_progress
            )
        assert (index.incidents(1), index.history()) == before
    assert not [path for path in tmp_path.iterdir() if path.name.strip(".").startswith(("out", "lessons"))]


def test_a_table_that_is_not_in_the_index_is_refused(table, indexed, tmp_path):
    rows = [row | {"case_id": f"x-{at}"} for at, row in enumerate(ROWS)]
    table = write(tmp_path / "other.csv", rows)
    with DuplicateIndex.open(indexed[1]) as index, pytest.raises(TableError, match="add the table to the index first"):
        apply_corrections(filled(table, r1={"merge_with": "3"}), table, tmp_path / "out.csv", index=index)


def test_a_workbook_that_was_filled_in_is_read_back(table, tmp_path):
    import openpyxl

    write_review(table, tmp_path / "review.xlsx")
    book = openpyxl.load_workbook(tmp_path / "review.xlsx")
    sheet = book["cases"]
    header = [cell.value for cell in sheet[1]]
    row = next(row for row in sheet.iter_rows(min_row=2) if row[header.index("text")].value == "حفرة")
    row[header.index("correct_kind")].value = "مقترح"
    row[header.index("correct_incident")].value = 1
    book.save(tmp_path / "review.xlsx")
    done = apply_corrections(tmp_path / "review.xlsx", table, tmp_path / "out.csv")
    assert dict(done.changed) == {"kind": 1} and done.moved == 1
    assert read(tmp_path / "out.csv")[4]["incident_id"] == "1"


def test_an_output_that_something_else_wrote_is_kept_and_rejects_are_told(table, tmp_path, capsys):
    review = filled(table, r1={"checked": "yes"})
    table.write_text(table.read_text(encoding="utf-8-sig") + "too,few\n", encoding="utf-8")
    (tmp_path / "out.csv").write_text("mine")
    arguments = ["corrections", "apply", str(review), "--to", str(table), "-o", str(tmp_path / "out.csv")]
    assert main(arguments) == 1 and "replace it with --force" in capsys.readouterr().err
    assert main([*arguments, "--force"]) == 3 and "1 rows could not be read" in capsys.readouterr().err
    assert len(read(tmp_path / "out.csv")) == len(ROWS)


TAGS = {"tags": ["works", "lighting"], "tags_probabilities": [0.9, 0.6], "tags_alternatives": [], "needs_review": True}


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_the_labels_of_a_multi_label_task_are_corrected_as_a_set(tmp_path, suffix):
    rows = [{"text": "حفرة وليت محترق", **TAGS, "review_reasons": ["low_confidence"]}]
    rows.append(rows[0] | {"text": "ليت محترق", "tags": ["lighting"], "tags_probabilities": [0.6]})
    rows.append(rows[0] | {"text": "شكرا", "tags": [], "tags_probabilities": []})
    if suffix == "csv":
        rows = [row | {name: "|".join(map(str, row[name])) for name in ("tags", "tags_probabilities")} for row in rows]
        rows = [row | {"tags_alternatives": "", "review_reasons": "low_confidence"} for row in rows]
    table, out = table_files.write(tmp_path / f"table.{suffix}", rows), tmp_path / f"out.{suffix}"
    review = filled(
        table,
        r1={"correct_tags": "lighting|works"},
        r2={"correct_tags": "works | lighting"},
        r3={"correct_tags": "lighting"},
    )
    done = apply_corrections(review, table, out, append_to=tmp_path / "corrections.jsonl")
    assert dict(done.changed) == {"tags": 2} and done.confirmed == 1
    found = [row["tags"] if suffix == "csv" else "|".join(row["tags"]) for row in read(out)]
    assert found == ["works|lighting", "lighting|works", "lighting"]
    lessons = {row["text"]: row["tags"] for row in read(tmp_path / "corrections.jsonl")}
    assert list(map(lessons.get, ("حفرة وليت محترق", "ليت محترق", "شكرا"))) == [*["lighting|works"] * 2, "lighting"]


@pytest.mark.parametrize("cells", [{"text": "نص حالة أخرى"}, {"id": "B-7"}], ids=["text", "id"])
def test_a_row_that_shows_another_case_than_it_names_is_refused(tmp_path, cells):
    table = write(tmp_path / "classified.csv", [row | {"id": f"A-{number}"} for number, row in enumerate(ROWS)])
    with pytest.raises(TableError, match="row 3 shows another text or id"):
        applied(table, r3={"correct_topic": "waste_collection"} | cells)
    assert not table.with_name("out.csv").exists()


def test_a_masked_review_is_about_its_cases_and_a_formula_is_learned_once_as_it_was_written(tmp_path):
    text = "- المجاري طافحة، هاتفي 39001234"
    table = write(tmp_path / "classified.csv", [grouped(text, 1, 1, unsure=True)])
    review, lessons = tmp_path / "review.csv", tmp_path / "lessons.csv"
    write_review(table, review, mask=True)
    rows = read(review)
    assert "39001234" not in rows[0]["text"]
    write_records(review, dict.fromkeys(rows[0], "string"), [row | {"checked": "x"} for row in rows])
    for _ in range(2):
        assert apply_corrections(review, table, tmp_path / "out.csv", append_to=lessons).lessons == 1
    assert f"'{text}" in lessons.read_text("utf-8-sig")
    assert open_labelled(lessons).read().texts == [text]


def test_a_file_of_corrections_with_a_row_that_cannot_be_read_is_refused_and_left_alone(table, tmp_path):
    lessons = tmp_path / "lessons.csv"
    apply_corrections(filled(table, r3={"checked": "x"}), table, tmp_path / "out.csv", append_to=lessons)
    with lessons.open("a", encoding="utf-8") as file:
        file.write("one,two,three,four,five,six\n")
    before = lessons.read_bytes()
    with pytest.raises(TableError, match=r"row 2 of .*lessons.csv"):
        apply_corrections(filled(table, r5={"checked": "x"}), table, tmp_path / "out.csv", append_to=lessons)
    assert lessons.read_bytes() == before
