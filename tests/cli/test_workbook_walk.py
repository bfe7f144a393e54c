"""A workbook as an office keeps it goes through every command: Arabic columns, two header rows, dates in all forms."""

import datetime as dt

import openpyxl
import pytest

from tawasul_nlp.cli import main
from tests.report.browser import embedded, unpacked
from tests.table_files import read, write

HEADINGS = ["رقم الشكوى", "تاريخ الاستلام ", "نص الشكوى", "المنطقة", "الجهة المحال إليها", "مغلقة", "أيام الانتظار"]
ROWS = [
    (dt.datetime(2026, 5, 3), "الماي مقطوع عن بيتنا في مجمع 711 من أمس", "توبلي", "الكهرباء", True, 3),
    (dt.datetime(2026, 5, 4, 14, 22), "ما عندنا ماي في توبلي مجمع 711", "محافظة العاصمة", "الأشغال", False, 2.5),
    ("3 مايو 2026", "الإنارة طافية في شارع 15 مجمع 1203", "مدينة حمد", "البلدية الشمالية", False, 1),
    ("13/05/2026 2:22 PM", "المجاري طافحة جدام بيتنا في الدير مجمع 231", "سترة", "الأشغال", False, 0),
    ("4 May 2026", "حفرة كبيرة في الشارع العام كسرت تاير سيارتي", "المحرق", "وزارة الأشغال", True, 9),
    ("03.05.26", "ولدي معاق ونحتاج موعد في السلمانية من شهور", None, "السلمانية", False, 4),
    ("٠٣/٠٥/٢٠٢٦", "راتب الضمان الاجتماعي متأخر هالشهر", "المحافظة الجنوبية", "التنمية", False, 5),
    (46146, "نشكر موظفي الجوازات على سرعة الإنجاز وحسن التعامل", None, "الجوازات", True, 0),
    ("أمس", "تسريب غاز قوي تحت عمارتنا بالبسيتين مجمع 228 والناس فوق", "البسيتين", "الدفاع المدني", False, 0),
    ("2026-05-11", "القمامة متراكمة عند بيتنا من اسبوع وما شالوها", "الرفاع الشرقي", "قسم النظافة", False, 7),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The workbook, and what the commands made of it one after the other."""
    folder = tmp_path_factory.mktemp("office")
    book = openpyxl.Workbook()
    book.active.append(["بلاغات شهر مايو"])
    book.active.append(HEADINGS)
    for number, row in enumerate(ROWS, 1):
        book.active.append([1000 + number, *row])
    book.save(folder / "in.xlsx")
    write(folder / "names.csv", [{"name": "قسم النظافه", "agency": "southern_municipality"}])
    arguments = {
        "classify": ["in.xlsx", "--header-row", "2", "-o", "classified.xlsx"],
        "group": ["classified.xlsx", "-o", "grouped.xlsx", "--show-unread-dates", "unread.csv"],
        "report": ["grouped.xlsx", "-o", "report.html", "--map", "names.csv"],
        "review": ["grouped.xlsx", "-o", "review.xlsx"],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command, options in arguments.items():
            assert main([command, *options]) == 0, command
    return folder


def sheet(path):
    """The sheet, the names of its columns with their letters, and the rows below them."""
    sheet = openpyxl.load_workbook(path).active
    header, *rows = sheet.iter_rows()
    columns = {cell.value: cell.column_letter for cell in header}
    return sheet, columns, [dict(zip(columns, (cell.value for cell in row), strict=True)) for row in rows]


def test_cells_keep_their_types(folder):
    for name in ("classified.xlsx", "grouped.xlsx"):
        *_, rows = sheet(folder / name)
        assert [row[HEADINGS[0]] for row in rows] == list(range(1001, 1011))
        assert [(row[HEADINGS[1]], row["مغلقة"], row["أيام الانتظار"]) for row in rows] == [
            (day, closed, waited) for day, _, _, _, closed, waited in ROWS
        ]
        assert all(isinstance(row["needs_review"], bool) for row in rows)


def test_people_see_arabic_headings_and_values_and_programs_read_hidden_ids(folder):
    whole, columns, rows = sheet(folder / "grouped.xlsx")
    assert whole.sheet_view.rightToLeft and whole.freeze_panes == "A2" and whole.auto_filter.ref.startswith("A1:")
    hidden = {name for name, letter in columns.items() if whole.column_dimensions[letter].hidden}
    assert {"kind", "topic", "needs_review", "issues", "incident_id"} <= hidden
    assert not {*HEADINGS, "موضوع الحالة", "رقم الواقعة"} & hidden
    first, gas = rows[0], rows[8]
    assert (first["نوع الحالة"], first["الجهة المقترحة"]) == ("شكوى", "هيئة الكهرباء والماء")
    assert first["محافظة الحالة"] == "محافظة العاصمة" and first["مجمع الحالة"] == "711"
    assert (gas["درجة الاستعجال"], gas["تحتاج إلى مراجعة"]) == ("طارئ", "نعم")
    assert gas["أسباب المراجعة"].split("، ")[0] == "حالة طارئة"
    assert rows[0]["رقم الواقعة"] == rows[1]["رقم الواقعة"] != rows[2]["رقم الواقعة"]


def test_the_finest_place_is_kept_and_a_contradiction_is_for_a_person(folder):
    *_, rows = sheet(folder / "classified.xlsx")
    assert (rows[3]["block"], rows[3]["town"]) == ("231", "الدير")
    assert "المكان في النص غير المكان في الجدول" in rows[3]["أسباب المراجعة"]
    assert rows[1]["block"] == "711" and "place_conflict" not in (rows[1]["review_reasons"] or "")


def test_what_is_unread_is_listed_by_the_number_that_excel_shows_and_stays_in_the_report(folder):
    # Of the written workbook, whose header is its first row.
    assert read(folder / "unread.csv") == [{"row": "10", "date": "أمس"}]
    page = embedded(folder / "report.html")
    assert (page["datesUnread"], page["rows"], page["first"], page["last"]) == (1, 10, "2026-05-03", "2026-05-13")
    urgency = unpacked(folder / "report.html", "urgency")
    assert page["names"]["urgency"][urgency[8]][0] == "emergency" and unpacked(folder / "report.html", "day")[8] == -1


def test_offices_names_of_agencies_are_known_and_others_come_with_a_map(folder):
    page = embedded(folder / "report.html")
    assert page["unplaced"] == []
    assert unpacked(folder / "report.html", "misrouted")[:3] == [0, 1, 1]
    assert main(["report", str(folder / "grouped.xlsx"), "-o", str(folder / "unmapped.html"), "-q"]) == 0
    page = embedded(folder / "unmapped.html")
    assert [(page["names"]["routed"][code][0], cases) for code, cases in page["unplaced"]] == [("قسم النظافة", 1)]


def test_corrections_come_back_in_ids_and_in_arabic(folder, capsys):
    book = openpyxl.load_workbook(folder / "review.xlsx")
    cases = book["cases"]
    columns = {cell.value: cell.column for cell in next(cases.iter_rows(max_row=1))}
    gas = next(row for row in range(2, cases.max_row + 1) if "غاز" in cases.cell(row, columns["text"]).value)
    cases.cell(gas, columns["correct_urgency"]).value = "عاجل"
    cases.cell(gas, columns["correct_agency"]).value = "الداخلية"
    book.save(folder / "reviewed.xlsx")
    out = folder / "corrected.xlsx"
    arguments = ["corrections", "apply", str(folder / "reviewed.xlsx"), "--to", str(folder / "grouped.xlsx")]
    assert main([*arguments, "-o", str(out)]) == 0
    *_, rows = sheet(out)
    assert (rows[8]["urgency"], rows[8]["درجة الاستعجال"], rows[8]["agency"]) == ("urgent", "عاجل", "interior")
    assert rows[8]["الجهة المقترحة"] == "وزارة الداخلية" and isinstance(rows[8]["agency_probability"], float)
    cases.cell(gas, columns["correct_agency"]).value = "قسم المجاري"
    book.save(folder / "reviewed.xlsx")
    assert main([*arguments, "-o", str(folder / "refused.xlsx")]) == 1
    refused = capsys.readouterr().err
    assert f"row {gas}, correct_agency" in refused and "did you mean 'وزارة الأشغال'" in refused


def test_drift_divides_the_workbook_and_ids_are_one_option_away(folder, capsys):
    assert main(["drift", str(folder / "grouped.xlsx"), "--since", "2026-05-04", "-t", HEADINGS[2]]) == 1
    assert "a comparison needs at least 10" in capsys.readouterr().err
    out = folder / "ids.xlsx"
    arguments = ["classify", str(folder / "in.xlsx"), "--header-row", "2", "-o", str(out), "--no-arabic", "-q"]
    assert main(arguments) == 0
    whole, columns, _ = sheet(out)
    assert "kind" in columns and "نوع الحالة" not in columns and not whole.sheet_view.rightToLeft
    assert not any(dimension.hidden for dimension in whole.column_dimensions.values())
