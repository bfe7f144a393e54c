"""Every command takes another country's pack, and ``tawasul domain check`` says what is wrong or doubtful in one."""

import json
import re
from pathlib import Path

import pytest

from tawasul_nlp.cli import main
from tests.packs import BAHRAIN, CITIES, KUWAIT, changed, written
from tests.table_files import read, write

ROWS = [
    ("1", "الزبالة متراكمة في السالمية قطعة 3 من اسبوع ومحد شالها", "2026-01-05"),
    ("2", "القمامة متراكمة بالسالمية ق3 منذ أسبوع ولم ترفعها الشركة", "2026-01-05"),
    ("3", "الزبالة متراكمة في حولي قطعة 3 من اسبوع ومحد شالها", "2026-01-06"),
    ("4", "رقمي المدني 288110398422 والكهربا مقطوعة عن الرميثية", "2026-01-07"),
]


@pytest.fixture(scope="module")
def pack(tmp_path_factory) -> Path:
    """Kuwait's places, agencies and numbers with the topics of the bundled model; agencies have its labels as codes."""
    folder = tmp_path_factory.mktemp("pack")
    agencies = (KUWAIT / "agencies.yaml").read_text("utf-8")
    labels = set(re.findall(r"^- id: (\w+)", (BAHRAIN / "agencies.yaml").read_text("utf-8"), re.M))
    own = {"mpw": ["works"], "mew": ["ewa"]}
    taken = {"works", "ewa", *re.findall(r"^- id: (\w+)", agencies, re.M)}
    own["moi"] = sorted(labels - taken)
    for agency, codes in own.items():
        agencies = agencies.replace(f"- id: {agency}\n", f"- id: {agency}\n  codes: [{', '.join(codes)}]\n", 1)
    rules = (KUWAIT / "routing.yaml").read_text("utf-8").split("\nadvice:\n")[0]
    texts = {name: (KUWAIT / f"{name}.yaml").read_text("utf-8") for name in ("gazetteer", "personal")}
    return written(folder, agencies=agencies, routing=rules, **texts)


@pytest.fixture(scope="module")
def backlog(tmp_path_factory) -> Path:
    rows = [dict(zip(("case_id", "text", "opened"), row, strict=True)) for row in ROWS]
    return write(tmp_path_factory.mktemp("tables") / "backlog.csv", rows)


def test_classify_group_and_report_read_another_countrys_places(pack, backlog, tmp_path, capsys):
    options = ["--domain", str(pack), "-q"]
    classified, grouped, page = tmp_path / "classified.csv", tmp_path / "grouped.csv", tmp_path / "page.html"
    assert main(["classify", str(backlog), "-t", "text", "-o", str(classified), "--mask-personal-data", *options]) == 0
    rows = read(classified)
    assert {(row["governorate"], row["block"]) for row in rows[:3]} == {("hawalli", "3")}
    assert [row["area"] for row in rows[:3]] == ["السالمية", "السالمية", "حولي"]
    assert {row["agency"] for row in rows[:3]} == {"municipality_hawalli"} and rows[3]["agency"] == "mew"
    assert rows[3]["text"].startswith("رقمي المدني [رقم مدني] ")
    assert main(["group", str(backlog), "-t", "text", "-o", str(grouped), *options]) == 0
    labels = [row["incident_id"] for row in read(grouped)]
    assert labels[0] == labels[1] and len(set(labels)) == 3
    assert main(["report", str(classified), "-o", str(page), *options]) == 0
    shown = page.read_text("utf-8")
    assert "3، السالمية" in shown and "3، حولي" in shown and '"block":"قطعة"' in shown


def test_an_index_is_kept_with_a_pack(pack, backlog, tmp_path, capsys):
    folder = str(tmp_path / "incidents")
    options = ["--domain", str(pack)]
    assert main(["index", "add", folder, str(backlog), "-t", "text", "--id-column", "case_id", "-q", *options]) == 0
    capsys.readouterr()
    assert main(["index", "query", folder, "الزبالة ما انشالت من السالمية قطعة 3", "--json", *options]) == 0
    assert json.loads(capsys.readouterr().out)[0]["is_duplicate"]
    assert main(["index", "stats", folder]) == 1
    assert "created with the domain mine" in capsys.readouterr().err
    assert main(["index", "rebuild", folder, *options]) == 0


def test_predict_and_mask_take_a_pack(pack, capsys):
    assert main(["predict", "--domain", str(pack), "--json", "الزبالة متراكمة في السالمية"]) == 0
    assert json.loads(capsys.readouterr().out)["agency"]["id"] == "municipality_hawalli"
    assert main(["mask", "--domain", str(pack), "تلفوني 66001234"]) == 0
    assert capsys.readouterr().out == "تلفوني [هاتف]\n"


@pytest.mark.parametrize(("folder", "columns"), [(CITIES, "district"), (KUWAIT, "block or area")])
def test_the_report_asks_for_the_columns_of_the_pack(folder, columns, tmp_path, capsys):
    table = tmp_path / "classified.csv"
    header = "text,kind,topic,topic_probability,agency,agency_probability,needs_review,opened"
    table.write_text(f"{header}\nانقطع الماء,complaint,water,0.9,power,0.9,false,2026-01-05\n", encoding="utf-8")
    assert main(["report", str(table), "-o", str(tmp_path / "r.html"), "-t", "text", "--domain", str(folder)]) == 0
    assert f"unknown, as there is no column {columns}; tawasul classify adds" in capsys.readouterr().out


def test_the_example_packs_are_sound_and_an_error_in_one_ends_the_check_with_file_and_line(tmp_path, capsys):
    for folder in (KUWAIT, BAHRAIN, CITIES):
        assert main(["domain", "check", str(folder)]) == 0
        assert capsys.readouterr().out.startswith("sound, ")
    assert main(["domain", "check", str(changed(tmp_path, "taxonomy", "agency: municipality", "agency: nobody"))]) == 1
    said = r"taxonomy.yaml:\d+: topic 'waste_collection' has the unknown agency 'nobody'"
    assert re.search(said, capsys.readouterr().err)


MANAMA = "  variants_ar: [منامة]"
OWNER = "owners:\n- {topic: road_damage, agency: works}\n\nadvice:\n"


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("gazetteer", f"  region: capital\n{MANAMA}", MANAMA, "city 'manama' has no governorate"),
        ("gazetteer", MANAMA, "  variants_ar: [منامة, الرفاع]", "'الرفاع' of 'riffa' always means 'manama'"),
        ("gazetteer", "- form: السيف\n", "- form: كرسي\n", "homograph 'كرسي' is the name of no place"),
        ("gazetteer", "  name_ar: مجمع\n", "  name_ar: حارة\n", "name_ar 'حارة' is not among its words"),
        ("agencies", "    southern: southern_municipality\n", "", "group 'municipality' has no member for southern"),
        ("agencies", "aliases_en: []", "aliases_en: [Ministry of Works]", "always means"),
        ("routing", "advice:\n", OWNER, "has this owner in the taxonomy already"),
        (
            "routing",
            "topics: [utility_excavation]",
            "topics: [power_outage]",
            "never fire: it informs the agency that gets",
        ),
    ],
)
def test_what_is_doubtful_in_a_pack_is_found(tmp_path, capsys, name, old, new, message):
    assert main(["domain", "check", str(changed(tmp_path, name, old, new))]) == 0
    told = capsys.readouterr().err
    assert message in told, told
