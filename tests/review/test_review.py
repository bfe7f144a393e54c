"""Cases that a person should look at, in the formats that people fill in."""

import openpyxl
import pytest

from tawasul_nlp.cli import main
from tawasul_nlp.domain import Domain
from tawasul_nlp.review import ReviewPlan, write_review
from tawasul_nlp.tables import open_classified
from tawasul_nlp.tables.errors import TableError
from tests.review.classified_tables import case, write
from tests.table_files import read

TOPICS = ("sewage_overflow", "road_damage", "power_outage", "waste_collection")


def review(tmp_path, rows, plan, **options):
    table = write(tmp_path / "classified.jsonl", rows)
    report = write_review(open_classified(table, text_column="text"), tmp_path / "review.csv", plan, **options)
    return report, read(tmp_path / "review.csv")


def rows_of(found):
    return [int(row["case"].split("-")[0].removeprefix("r")) for row in found]


def test_unsure_cases_come_with_the_least_sure_first_and_one_of_each_incident(tmp_path):
    probabilities = [0.5, 0.2, 0.4, 0.3, 0.99]
    rows = [
        case(f"شكوى رقم {at}", probability=each, unsure=each < 0.9, incident_id=min(at, 2), incident_size=1)
        for at, each in enumerate(probabilities)
    ]
    report, found = review(tmp_path, rows, ReviewPlan(unsure=10, urgent=0, diverse=0))
    assert rows_of(found) == [2, 4, 1] and report.cases == 3 and report.rows == 5
    assert found[0]["reason"] == "unsure: low_topic_confidence" and found[0]["incident"] == "1"


def test_a_doubt_about_the_agency_costs_more_than_one_about_the_topic_or_the_kind(tmp_path):
    sure = {"agency": 0.4, "topic": 0.3, "kind": 0.2}
    rows = [
        case("شكوى في القسم", unsure=True) | {"agency_probability": sure["agency"]},
        case("شكوى في الموضوع", unsure=True) | {"topic_probability": sure["topic"]},
        case("شكوى في النوع", unsure=True) | {"kind_probability": sure["kind"], "agency_probability": 0.9},
    ]
    assert rows_of(review(tmp_path, rows, ReviewPlan(unsure=3, urgent=0, diverse=0))[1]) == [1, 3, 2]
    without = [{name: cell for name, cell in row.items() if not name.startswith("agency")} for row in rows]
    (tmp_path / "review.csv").unlink()
    assert rows_of(review(tmp_path, without, ReviewPlan(unsure=3, urgent=0, diverse=0))[1])[0] == 2


def test_urgent_cases_come_first_if_the_table_has_urgency(tmp_path):
    levels = [("normal", 0.9), ("urgent", 0.9), ("emergency", 0.6), ("emergency", 0.8)]
    rows = [
        case(f"شكوى رقم {at}", unsure=at == 3, urgency=level, urgency_probability=sure)
        for at, (level, sure) in enumerate(levels)
    ]
    report, found = review(tmp_path, rows, ReviewPlan(unsure=5, urgent=5, diverse=5))
    assert rows_of(found) == [4, 3, 2, 1] and report.reasons == {"urgent": 3, "diverse": 1}
    assert "correct_urgency" in found[0]


def test_diverse_cases_take_turns_among_the_topics_the_rarest_first(tmp_path):
    rows = [case(f"شكوى {topic} {at}", topic, probability=0.99 - at / 100) for topic in TOPICS[:3] for at in range(3)]
    rows.append(case("شكوى وحيدة", TOPICS[3]))
    found = review(tmp_path, rows, ReviewPlan(unsure=0, urgent=0, diverse=6))[1]
    topics = [row["topic"] for row in found]
    names = [Domain.bundled().taxonomy.topic(topic).name_ar for topic in TOPICS]
    assert topics[0] == names[3] and set(topics[:4]) == set(names)
    assert rows_of(found)[1:4] == [9, 6, 3], "the least sure of each topic"


def test_a_case_without_a_text_is_not_shown_and_nothing_to_review_is_said(tmp_path):
    rows = [case("", unsure=True, review_reasons="empty_text"), case("  ", unsure=True)]
    with pytest.raises(TableError, match="has no case to review; ask for others with --unsure"):
        review(tmp_path, rows, ReviewPlan())
    with pytest.raises(ValueError, match="none below 0 and one above it"):
        ReviewPlan(0, 0, 0)


def test_personal_data_is_masked_if_wanted(tmp_path):
    rows = [case("رقمي 39001234 والمجاري طافحة", unsure=True, id="39001234")]
    assert "39001234" in review(tmp_path, rows, ReviewPlan())[1][0]["text"]
    masked = review(tmp_path, rows, ReviewPlan(), mask=True, overwrite=True)[1][0]
    assert "39001234" not in masked["text"] + masked["id"]


def test_a_workbook_reads_from_right_to_left_and_offers_the_labels_in_lists(tmp_path):
    rows = [case("=1+1 المجاري طافحة \x0b", unsure=True, incident_id=1), case("حفرة", "road_damage", incident_id=2)]
    write_review(write(tmp_path / "classified.jsonl", rows), tmp_path / "review.xlsx")
    book = openpyxl.load_workbook(tmp_path / "review.xlsx")
    sheet = book["cases"]
    assert sheet.sheet_view.rightToLeft and sheet.freeze_panes == "A2"
    header = [cell.value for cell in sheet[1]]
    text = sheet.cell(2, header.index("text") + 1)
    assert text.data_type == "s" and text.value.startswith("=1+1")
    lists = {str(choice.sqref): choice.formula1 for choice in sheet.data_validations.dataValidation}
    column = openpyxl.utils.get_column_letter(header.index("correct_topic") + 1)
    source = lists[f"{column}2:{column}3"]
    offered = [row[0].value for row in book["labels"][source.split("!")[1].replace("$", "")]]
    assert set(offered) == {topic.name_ar for topic in Domain.bundled().taxonomy.topics.values()}


def test_a_review_that_may_be_filled_in_is_not_replaced_unless_that_is_wanted(tmp_path, capsys):
    rows = [case("المجاري طافحة", unsure=True), case("حفرة", "road_damage")]
    table, output = write(tmp_path / "classified.csv", rows), tmp_path / "review.csv"
    with pytest.raises(TableError, match="is the input itself"):
        write_review(table, table, overwrite=True)
    assert main(["review", str(table), "-o", str(output), "--unsure", "5"]) == 0
    assert "2 of 2 cases (1 unsure, 1 diverse)" in capsys.readouterr().out
    output.write_text("filled in")
    with pytest.raises(TableError, match="is there already and may be filled in"):
        write_review(table, output)
    assert output.read_text() == "filled in"
    assert write_review(table, output, overwrite=True).cases == len(read(output)) == 2
