"""A model that is trained for another country carries its pack, and routes by it wherever it is loaded."""

import pytest

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.domain import Domain
from tawasul_nlp.model.folder import DOMAIN, read_config
from tawasul_nlp.training import train
from tests.packs import CITIES, KUWAIT
from tests.training.conftest import on_table, settings, write_csv

WASTE = ("القمامة متراكمة", "حاوية الزبالة مليانة", "ما شالوا النفايات", "كيس زبالة مرمي", "النظافة سيئة")
LIGHT = ("الإنارة مطفية", "عمود النور طافي", "لمبة الشارع خربانة", "الليت ما يشتغل", "ظلام بالشارع")
PLACES = ("في العليا", "في الملز", "في الحمراء", "عند شارع التحلية", "بالرياض", "بجدة")


@pytest.mark.slow
def test_a_model_folder_of_another_country_carries_its_pack_and_routes_by_it(tmp_path, tiny_bert):
    rows = [
        {"text": f"{said} {where} من {days} أيام", "topic": topic, "agency": agency}
        for topic, agency, texts in (("waste", "cleaning", WASTE), ("lighting", "power", LIGHT))
        for said in texts
        for where in PLACES
        for days in (3, 7)
    ]
    table = write_csv(tmp_path / "cases.csv", rows)
    options = {"label_columns": ["topic", "agency"], "duplicates": "identical", "config": settings(tiny_bert, epochs=2)}
    run = on_table(train, table, output=tmp_path / "run", domain=Domain.load(CITIES), **options)
    assert DOMAIN in read_config(run.model_folder).files
    model = ComplaintClassifier.from_pretrained(run.model_folder)
    assert model.domain == Domain.load(CITIES)
    answer = model.predict("القمامة متراكمة في العليا من أسبوع")
    assert answer.places.at("city") == "riyadh"
    assert answer.routing is not None and answer.agency.id in ("riyadh_municipality", "power")
    with pytest.raises(ValueError, match="domain"):
        on_table(train, table, output=tmp_path / "run", domain=Domain.load(KUWAIT), **options)


def test_branches_that_a_place_decides_are_no_labels_of_agency(tmp_path, tiny_bert):
    branches = ("riyadh_municipality", "jeddah_municipality")
    rows = [
        {"text": f"{said} {where} رقم {at}", "agency": agency}
        for said in WASTE
        for agency, where in zip(branches, PLACES[:2], strict=True)
        for at in range(8)
    ]
    table = write_csv(tmp_path / "cases.csv", rows)
    options = {"label_columns": ["agency"], "duplicates": "identical", "domain": Domain.load(CITIES)}
    message = r"2 branches, such as 'jeddah_municipality' of '\w+'; the place .* dept=agency"
    with pytest.raises(ValueError, match=message):
        on_table(train, table, output=tmp_path / "run", config=settings(tiny_bert, epochs=1), **options)
