"""Where a case is, is taken from its table where the table tells it."""

from dataclasses import replace

import pytest

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.domain import Domain
from tawasul_nlp.domain.places.given import given_places
from tawasul_nlp.domain.routing import route
from tawasul_nlp.prediction import Issue, LabelScore
from tawasul_nlp.tables import classify_table
from tawasul_nlp.tables.added_columns import added_values
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.run.pipeline import placed
from tests.table_files import read, write
from tests.tables.run.test_classify import ENDINGS, records, run

WASTE = "الزبالة متراكمة عند البيت من أسبوع والريحة قوية"
BAHRAIN = Domain.bundled()


@pytest.fixture(scope="module")
def model():
    return ComplaintClassifier.from_pretrained()


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_tables_own_columns_of_places_route_the_case_unless_the_text_contradicts_them(tmp_path, model, ending):
    rows = [
        {"text": WASTE, "مجمع": None, "منطقة": None},
        {"text": WASTE, "مجمع": 905.0, "منطقة": "الرفاع الشرقي"},
        {"text": f"{WASTE} في المحرق", "مجمع": None, "منطقة": "الرفاع الشرقي"},
        {"text": f"{WASTE} في المحرق", "مجمع": None, "منطقة": "غير معروف"},
    ]
    source = write(tmp_path / f"backlog{ending}", rows)

    def answers(**options):
        report = classify_table(model, source, tmp_path / "out.jsonl", text_column="text", **options)
        return [
            tuple(row[name] for name in ("governorate", "block", "town", "agency", "agency_name_ar"))
            for row in read(report.output)
        ]

    nowhere, southern, muharraq = (
        (BAHRAIN.taxonomy.agency(id).id, BAHRAIN.taxonomy.agency(id).name_ar)
        for id in ("municipality", "southern_municipality", "muharraq_municipality")
    )
    unplaced, in_text = (None, None, None, *nowhere), ("muharraq", None, "المحرق", *muharraq)
    assert answers(place_columns=[]) == [unplaced, unplaced, in_text, in_text]
    assert answers(place_columns=["مجمع", "منطقة"]) == [
        unplaced,
        ("southern", "905", "الرفاع الشرقي", *southern),
        in_text,
        in_text,
    ]


@pytest.mark.parametrize("ending", ENDINGS)
def test_blanks_around_a_heading_do_not_count(tmp_path, model, ending):
    rows = [{" text": WASTE, "المنطقة ": "الرفاع الشرقي"}]
    source = write(tmp_path / f"backlog{ending}", rows)
    target = tmp_path / f"out{ending}"
    classify_table(model, source, target, text_column="text", place_columns=["المنطقة"], mask_columns=["text "])
    (row,) = read(target)
    assert row["town"] == "الرفاع الشرقي" and row[" text"] == WASTE and row["المنطقة "] == "الرفاع الشرقي"


def placed_by(model, text, *cells):
    return placed(model.predict(text), given_places(cells, BAHRAIN), BAHRAIN)


def test_a_case_that_is_placed_by_its_table_needs_no_place(model):
    before, after = model.predict(WASTE), placed_by(model, WASTE, "المحرق")
    assert "place_needed" in before.reasons and "place_needed" not in after.reasons
    assert after.labels["topic"] == before.labels["topic"]
    assert after.agency.probability == before.agency.probability
    assert after.routing.agency_id == after.agency.id == "muharraq_municipality"
    for cells in ([], ["", "  "], ["غير معروف"]):
        assert placed(before, given_places(cells, BAHRAIN), BAHRAIN) is before
    sewage = "المجاري طافحة عندنا من اسبوع"  # of an agency that is no municipality
    assert placed_by(model, sewage, "المحرق").labels["agency"] == model.predict(sewage).labels["agency"]


def test_the_finest_place_wins_and_the_other_adds_what_it_does_not_tell(model):
    text = f"{WASTE} في الرفاع الشرقي مجمع 905"
    agreeing = placed_by(model, text, "المحافظة الجنوبية")
    assert (agreeing.places.governorate, agreeing.places.block, agreeing.places.area) == ("southern", 905, "east_riffa")
    assert agreeing.reasons == model.predict(text).reasons
    text = f"{WASTE} في طريق 1425 قرب دوار 7"
    values = added_values(placed_by(model, text, "مدينة حمد"), ("town", "road", "landmark"))
    assert values == ["مدينة حمد", "1425", "دوار 7"]
    assert added_values(placed_by(model, text, "مدينة حمد طريق 901"), ("road",)) == ["901"]


@pytest.mark.parametrize(
    ("said", "cell", "place"),
    [
        ("الدير مجمع 231", "سترة", ("muharraq", 231, "dair")),
        ("مجمع 1208", "مجمع 1205", (None, 1208, None)),
        ("المحرق", "الرفاع الشرقي", ("muharraq", None, "muharraq_city")),
        ("المحافظة الشمالية", "سترة مجمع 604", ("capital", 604, "sitra")),
    ],
)
def test_what_contradicts_is_for_a_person_and_the_texts_place_is_kept_unless_it_is_coarser(model, said, cell, place):
    found = placed_by(model, f"{WASTE} في {said}", cell)
    assert "place_conflict" in found.reasons and found.needs_review
    assert (found.places.governorate, found.places.block, found.places.area) == place


def test_columns_that_point_to_two_governorates_leave_the_place_to_the_text_or_to_a_person(model):
    torn = placed_by(model, WASTE, "المحرق", "الرفاع الشرقي")
    assert torn.places.governorate is None and "place_needed" in torn.reasons
    told = placed_by(model, f"{WASTE} في المحرق", "المحرق", "الرفاع الشرقي")
    assert told.places.governorate == "muharraq" and "place_needed" not in told.reasons


def test_every_issue_of_a_case_goes_where_its_table_places_it(model):
    text = "الزبالة متراكمة عند البيت من أسبوع، والبعوض أكلنا، والماي مقطوع"
    found = model.predict(text)
    assert found.topic.id == "waste_collection" and found.agency.id == "municipality"
    clauses = {"pests_rodents": "البعوض أكلنا", "water_outage_pressure": "الماي مقطوع"}
    main = replace(found.issues[0], end=text.index("،"))
    others = [
        Issue(
            LabelScore(topic, topic, topic, 0.8),
            LabelScore("municipality", "", "", 0.8),
            0.8,
            text.index(clause),
            text.index(clause) + len(clause),
            route(topic),
        )
        for topic, clause in clauses.items()
    ]
    before = replace(found, issues=(main, *others), reasons=("place_needed",))
    after = placed(before, given_places(["المحرق"], BAHRAIN), BAHRAIN)
    municipality = BAHRAIN.taxonomy.agency("muharraq_municipality")
    assert [issue.agency.id for issue in after.issues] == [municipality.id, municipality.id, "ewa"]
    assert [issue.routing.agency_id for issue in after.issues] == [issue.agency.id for issue in after.issues]
    assert after.issues[1].agency.name_ar == municipality.name_ar and after.issues[1].probability == 0.8
    assert [text[issue.start : issue.end] for issue in after.issues[1:]] == list(clauses.values())
    assert (after.agency, after.routing) == (after.issues[0].agency, after.issues[0].routing)
    assert after.reasons == ()


def test_a_column_of_places_that_is_not_there_is_told(tmp_path):
    source = write(tmp_path / "backlog.csv", records())
    with pytest.raises(TableError, match="no column 'القناه'.*did you mean --place-column 'القناة'"):
        run(source, tmp_path / "out.csv", place_columns=["القناه"])
