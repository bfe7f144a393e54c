"""What ``tawasul report`` says at its end: the largest incidents and what keeps coming back, on the terminal too."""

import datetime as dt
import io
import re

import pytest
from rich.console import Console

from tawasul_nlp.cli import main
from tawasul_nlp.cli.display import highlighted
from tawasul_nlp.report import write_report
from tests.report.browser import embedded
from tests.report.tables import TEXT, classified, write


def backlog(size=7):
    """Return cases of which ``size`` are reports of one incident, and four weekly incidents are of one town and block."""
    rows = classified(60)
    for at, row in enumerate(rows):
        row |= {"incident_id": at, "incident_size": 1, "block": None, "town": None, "governorate": None}
    for row in rows[:size]:
        row |= {
            "incident_id": 0,
            "incident_size": size,
            "topic": "water_leak",
            TEXT: "انكسر أنبوب الماء، رقمي 39001234",
        }
    for at, row in enumerate(rows[20:24]):
        row |= {"topic": "sewage_overflow", "block": "711", "town": "توبلي"}
        row["opened"] = dt.date(2026, 1, 4) + dt.timedelta(weeks=at)
    for at, row in enumerate(rows[24:]):
        row |= {"block": str(300 + at), "town": "عراد" if at % 2 else "سار"}
        row["topic"] = ("street_lighting_fault", "road_damage", "stray_animals", "power_outage")[at % 4]
    return rows


def said(rows, tmp_path, capsys, *options):
    arguments = ["report", str(write(tmp_path / "t.parquet", rows)), "-o", str(tmp_path / "r.html"), *options]
    assert main(arguments) == 0
    return capsys.readouterr().out


def test_the_largest_incident_and_the_most_unusual_problem_are_first_and_a_town_is_not_told_beside_its_block(tmp_path):
    found = write_report(write(tmp_path / "t.parquet", backlog()), tmp_path / "r.html").highlights
    largest, first = found.largest[0], found.coming_back[0]
    assert (len(found.largest), largest.reports, largest.topic) == (1, 7, "water_leak")
    assert (first.topic, first.incidents, first.weeks, first.reports) == ("sewage_overflow", 4, 4, 4)
    assert (first.first, first.last) == (dt.date(2026, 1, 4), dt.date(2026, 1, 25))
    assert [one.topic for one in found.coming_back].count("sewage_overflow") == 1
    assert len(found.coming_back) <= 3
    narrow = Console(width=60, file=io.StringIO(), force_terminal=True, color_system=None)
    narrow.print(highlighted(found, ["block", "town"]))
    lines = narrow.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 60, "only the text is cut"
    words = {word for line in lines for word in line.split()}
    assert {"incidents", "expected", "weeks", "reports", "topic", "sewage_overflow", "water_leak"} <= words


def test_the_command_ends_with_the_highlights_and_the_path_of_the_page(tmp_path, capsys):
    out = said(backlog(), tmp_path, capsys)
    assert all(part in out for part in ("Largest incidents", "Keeps coming back", "water_leak", "sewage_overflow"))
    assert "انكسر أنبوب الماء، رقمي [هاتف]" in out and "39001234" not in out
    assert out.splitlines()[-1].startswith(f"{tmp_path / 'r.html'}: 60 cases")
    assert "'نص الشكوى'" in out and "'opened'" in out
    arabic = [line for line in out.splitlines() if re.search("[\u0621-\u064a]", line)]
    assert len(arabic) >= 2
    for line in arabic[:-1]:  # the last names the columns of the table
        assert not re.search("[\u0621-\u064a].*[A-Za-z]", line), "Arabic stands at the end of its line"
    assert "39001234" in said(backlog(), tmp_path, capsys, "--show-personal-data")
    assert said(backlog(), tmp_path, capsys, "--quiet") == ""


@pytest.mark.parametrize(
    ("without", "sentence"),
    [
        (
            ("incident_id", "incident_size"),
            "Largest incidents: unknown, as the table is not grouped; run tawasul group on it",
        ),
        (("opened",), "Keeps coming back: unknown, as no column holds dates; name it with --date-column"),
        (("block", "town"), "Keeps coming back: unknown, as there is no column block or town; tawasul classify adds"),
    ],
)
def test_a_table_that_cannot_tell_is_not_said_to_have_none(tmp_path, capsys, without, sentence):
    rows = [{name: value for name, value in row.items() if name not in without} for row in backlog()]
    assert sentence in said(rows, tmp_path, capsys)


def test_where_nothing_was_reported_twice_and_nothing_comes_back_it_says_so(tmp_path, capsys):
    rows = backlog(size=1)
    for at, row in enumerate(rows):
        row |= {"block": str(100 + at), "town": None}
    out = said(rows, tmp_path, capsys)
    assert "Largest incidents: none was reported more than once" in out
    assert "Keeps coming back: nothing" in out


def test_the_texts_of_several_columns_and_of_a_field_are_joined_as_classify_and_group_join_them(tmp_path, capsys):
    rows = [
        {**row, "subject": f"موضوع {at}", "complaint": {"body": f"نص {at}"}} for at, row in enumerate(classified(5))
    ]
    out = said(rows, tmp_path, capsys, "-t", "subject", "-t", TEXT, "-t", "complaint.body")
    assert "text 'subject', 'نص الشكوى', 'complaint.body'" in out
    assert embedded(tmp_path / "r.html")["cases"][3][2] == f"موضوع 3\n{rows[3][TEXT]}\nنص 3"
