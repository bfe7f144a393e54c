"""The agencies of a model beside those that cases were routed to."""

import pytest

from tawasul_nlp.review import compare_routing
from tawasul_nlp.tables import MissingColumnError
from tests.review.classified_tables import case, write
from tests.table_files import read

LEAK, POWER, WASTE = "الماي يطلع من المناهيل", "الكهرباء مقطوعة عن الحي", "القمامة متراكمة عند الباب"


@pytest.fixture
def table(tmp_path):
    def routed(text, to, days, **more):
        return case(text, **more) | {"routed_to": to, "days": days}

    rows = [
        routed(LEAK, "وزارة الأشغال", 4),
        routed(LEAK, "works", 6),
        routed(LEAK, "هيئة الكهرباء والماء", 25, probability=0.97),
        routed(LEAK, "هيئه الكهرباء والماء", 30, probability=0.99),
        routed(POWER, "وزارة الأشغال", 9, topic="power_outage", probability=0.4, unsure=True),
        routed(WASTE, "بلدية المحرق", 1, topic="waste_collection"),
        routed(WASTE, "قسم المتابعة", 1, topic="waste_collection"),
        routed(WASTE, None, None, topic="waste_collection"),
    ]
    return write(tmp_path / "classified.csv", rows)


def test_cases_that_were_routed_elsewhere_are_told_the_surest_first_and_written_with_their_texts(table, tmp_path):
    found = compare_routing(table, "routed_to")
    assert (found.cases, found.compared, found.agreed, found.empty) == (8, 6, 3, 1)
    assert [(each.row, each.routed, each.agency) for each in found.disagreements] == [
        (4, "ewa", "works"),
        (3, "ewa", "works"),
        (5, "works", "ewa"),
    ]
    assert found.sure == 2 and found.unknown == {"قسم المتابعة": 1}
    assert found.pairs == {("ewa", "works"): 2, ("works", "ewa"): 1}
    found.write(tmp_path / "elsewhere.csv")
    rows = read(tmp_path / "elsewhere.csv")
    assert [row["row"] for row in rows] == ["4", "3", "5"] and rows[0]["text"] == LEAK


def test_a_municipality_agrees_with_its_group_and_a_directorate_with_its_ministry(tmp_path):
    rows = [
        case(WASTE, "waste_collection") | {"routed_to": "بلدية المحرق"},
        case("مخالفة مرورية بالخطأ", "traffic_fines", "traffic") | {"routed_to": "وزارة الداخلية"},
    ]
    assert compare_routing(write(tmp_path / "classified.jsonl", rows), "routed_to").agreed == 2


def test_names_of_another_system_may_be_given_a_meaning_and_a_column_that_is_not_there_is_told(table):
    found = compare_routing(table, "routed_to", names={"قسم المتابعة": "muharraq_municipality"})
    assert found.unknown == {} and found.agreed == 4
    with pytest.raises(ValueError, match="'عيادة', which is no agency of bahrain; expected an id such as"):
        compare_routing(table, "routed_to", names={"قسم المتابعة": "عيادة"})
    with pytest.raises(MissingColumnError, match="did you mean agency_column 'routed_to'"):
        compare_routing(table, "routed_too")
