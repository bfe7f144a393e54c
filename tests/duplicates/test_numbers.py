"""Numbers that name what a case is about are told from amounts, and nobody's own numbers count."""

import pytest

from tawasul_nlp.duplicates.terms import read_numbers
from tests.growth import LINEAR, growth


@pytest.mark.parametrize(
    ("text", "numbers", "amounts"),
    [
        ("تسرب ماء أمام عمارة ١٢", ["12"], []),
        ("عمارة 5 م 714", ["5", "714"], []),
        ("الماي مقطوع من 3 أيام، رقمي 39001234", [], ["3"]),
        ("الرقم الشخصي 850412345 وللتواصل 3660 5544", [], []),
        ("ننتظر من 3 إلى 5 ايام و٢ مرات", [], ["3", "5", "2"]),
        ("الساعة 7:30 ص يوم 12/3/2026", [], ["7", "30", "12", "3", "2026"]),
        ("بلاغ رقم 44556677 وبلاغي رقم: 123", [], ["44556677", "123"]),
        ("حسمو علي 1,150 دينار", ["1150"], []),
        ("ينتهي في 22 يونيو", [], ["22"]),
        ("سيارة مهملة رقم اللوحة 123456", ["123456"], []),
        ("ba7rainiya 3ndha bas 14 w saknah 3 sneen", ["14"], ["3"]),
        ("شكرا لكم", [], []),
    ],
)
def test_a_number_is_a_thing_s_or_an_amount_or_a_person_s(text: str, numbers: list[str], amounts: list[str]) -> None:
    assert read_numbers(text) == (numbers, amounts)


def test_what_is_known_as_an_address_is_no_number() -> None:
    assert read_numbers("عمارة 12 طريق 1415 مجمع 714", [1415, 714]) == (["12"], [])


@pytest.mark.slow
@pytest.mark.parametrize("piece", ["1", "1,", "1-", "1 ", "1-1 ", "1:", "يوم 1 ", "٣ م ", "39001234 "])
def test_reading_numbers_takes_linear_time(piece: str) -> None:
    assert growth(read_numbers, piece * (80_000 // len(piece))) < LINEAR
