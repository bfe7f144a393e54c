"""Odd spellings of personal numbers, which masks must find, and of public ones and amounts, which must stay.

Every number is written with each form of digits and each sign between its groups, in several groupings.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator, Sequence

from tawasul_nlp.text import mask_personal_data
from tests.robustness.harness import Outcome, count

_FORMS = (
    "0123456789 ٠١٢٣٤٥٦٧٨٩ ۰۱۲۳۴۵۶۷۸۹ ०१२३४५६७८९ ০১২৩৪৫৬৭৮৯ ０１２３４５６７８９ ⓪①②③④⑤⑥⑦⑧⑨ ⓿❶❷❸❹❺❻❼❽❾ "
    "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗 𝟘𝟙𝟚𝟛𝟜𝟝𝟞𝟟𝟠𝟡 𝟶𝟷𝟸𝟹𝟺𝟻𝟼𝟽𝟾𝟿 ⁰¹²³⁴⁵⁶⁷⁸⁹ ₀₁₂₃₄₅₆₇₈₉ 🯰🯱🯲🯳🯴🯵🯶🯷🯸🯹"
)
FORMS: list[Sequence[str]] = [*_FORMS.split(), [f"{digit}\ufe0f\u20e3" for digit in "0123456789"]]
SIGNS = (
    *(" ", "\u00a0", "\u2009", "\u202f", "\u3000", "  ", "\t", "\n", "\r\n", "-", "\u2011", "\u2012", "\u2013"),
    *("\u2014", "\u2212", " - ", ".", "·", "•", "/", " / ", "\u2215", "\\", "_", "|"),
)
HIDDEN = "\u200e\u200f\u061c\u200b\u200d\u2060\ufeff\u00ad\u2068\u0640\u064e\0"
"""What nobody sees, or what is drawn over a digit: between any two digits."""
# The words around a number, which stay, and its groups. A cue stands where the groups alone could be a list.
NUMBERS: dict[str, tuple[tuple[str, str], ...]] = {
    "phone": (
        ("كلموني {} بعد العصر", "39001274"),
        ("كلموني {} بعد العصر", "3900 1274"),
        ("البيت {} مساء", "17 345 678"),
        ("تلفوني {} والله", "36 60 01 42"),
        ("تلفوني {} والله", "3 6 6 0 0 1 4 2"),
        ("call {} please", "+973 3312 7748"),
        ("واتساب {} فقط", "00973 36519902"),
        ("السعودية {} أخوي", "+966 50 123 4567"),
    ),
    "cpr": (
        ("أنا {} مواطن", "900101234"),
        ("أنا {} مواطن", "900 101 234"),
        ("الرقم الشخصي {} للزوجة", "87 04 12 356"),
        ("CPR: {} thanks", "8704 12356"),
    ),
    "card": (
        ("خصموا من بطاقتي {} مبلغا", "4111111111111111"),
        ("خصموا من {} مبلغا", "5500 0055 5555 5559"),
        ("خصموا من {} مبلغا", "3782 822463 10005"),
    ),
    "iban": (
        ("حولوا على {} الجديد", "BH67 BMAG 0000 1299 1234 56"),
        ("الآيبان {} الجديد", "BH68 BMAG 0000 1299 1234 56"),
    ),
    "passport": (("رقم جوازي {} منتهي", "2345671"), ("Passport no. {} expired", "A1234567")),
    "account": (("حساب الكهرباء رقم {} باسمي", "10482297"),),
    "request": (("رقم الطلب الإسكاني {} معلق", "55123"),),
}
EMAILS = (
    "sara.t_91@example.com",
    "sara @ example.com",
    "ｓａｒａ＠ｅｘａｍｐｌｅ．ｃｏｍ",
    "sara(at)example.com",
    "sara [at] example [dot] com",
    "sara at example dot com",
    "sara{at}example{dot}com",
    "sara (@) example.com",
    "سارة@مثال.البحرين",
    "سارة@example.com",
    "josé@exämple.com",
    "sara@exa\u200bmple.com",
    "sara @gmail ,com",
    "sara@gmail",
    "sara@example dot com",
)
PUBLIC = (
    "اتصلت على 80008001 ثلاث مرات",
    "اتصلت على 8000 8001 ثلاث مرات",
    "الإسعاف 999 والبلدية 17155363",
    "المبلغ 33500000 دينار",
    "بمبلغ 870412356 للمشروع",
    "دفعت 1,250,000 دينار",
    "فاتورة 214.500 د.ب عن 3 أشهر",
    "مجمع 1017 طريق 3612 بيت 1250",
    "طريق 3612 3614 بلا إنارة",
    "بلوك 714 مبنى 320 شقة 11",
    "بتاريخ 13/05/2024 الساعة 11:45",
    "بتاريخ 2024-05-12",
    "بتاريخ 30.11.2024",
    "ليلة 16/12/1445",
    "من 3000 - 3500 شخص",
    "البيوت 3612-3620 كلها",
    "قراءة العداد 33120456",
    "رقم الإيصال 36001234",
    "الفاتورة رقم 87041235",
    "سنة 2012 و2013 و2014",
    "العام الدراسي 2023/2024",
    "الوحدات 3 4 5 6 7 8 9 1",
    "عدد السكان 123456789 نسمة",
    "الساعة 7:30 إلى 16:00",
    "الموقع 26.2361,50.5860",
    "خصم 15% على 250 قطعة",
)


def written(number: str, form: Sequence[str], sign: str = " ") -> str:
    """Write a number in other digits, with another sign between its groups."""
    return "".join(form[int(char)] if char.isascii() and char.isdigit() else char for char in number.replace(" ", sign))


def personal(kind: str) -> Iterator[str]:
    """Give the odd spellings of a kind's numbers: texts with the number's place in braces."""
    for around, number in NUMBERS[kind]:
        spellings = [written(number, form) for form in FORMS]
        if " " in number:
            spellings += [written(number, form, sign) for form in FORMS for sign in SIGNS]
        spellings += [hidden.join(number) for hidden in HIDDEN]
        if kind == "cpr":
            spellings.append(f"{number}.0")  # as spreadsheets write it
        yield from (around.replace("{}", f"{{{spelling}}}") for spelling in spellings)


def mixed(kind: str, trials: int, seed: int) -> Iterator[str]:
    """Give numbers each of whose digits has a form of its own, with something hidden between them."""
    draw = random.Random(f"{seed} {kind}")
    for _ in range(trials):
        around, number = draw.choice(NUMBERS[kind])
        sign = draw.choice(SIGNS)
        chars = [written(char, draw.choice(FORMS), sign) for char in number]
        hidden = [draw.choice(HIDDEN) if draw.random() < 0.3 else "" for _ in chars[1:]]
        inside = "".join(map("".join, zip(chars, [*hidden, ""], strict=True)))
        yield around.replace("{}", f"{{{inside}}}")


def problem(marked: str) -> str:
    """Return a text of which more or less is masked than what stands in braces, or "": as names of its characters."""
    before, inside = marked.split("{", 1)
    inside, after = inside.rsplit("}", 1)
    text = before + inside + after
    spans = mask_personal_data(text).spans
    covered = {position for span in spans for position in range(span.start, span.end) if text[position].isalnum()}
    if covered == {len(before) + place for place, char in enumerate(inside) if char.isalnum()}:
        return ""
    return " ".join(unicodedata.name(char, ascii(char)) for char in inside)


def run(trials: int, seed: int) -> Iterator[Outcome]:
    """Write personal and public numbers in every way."""
    promise = "personal numbers are masked, however they are written"
    for kind in NUMBERS:
        spelled = f"{kind}: other digits, signs and hidden characters"
        yield count(promise, spelled, map(problem, personal(kind)))
        yield count(promise, f"{kind}: all of them mixed", map(problem, mixed(kind, trials, seed)))
    emails = (f"ايميلي {{{email}}} للرد" for email in EMAILS)
    yield count("e-mail addresses are masked", "spelled oddly", map(problem, emails))
    others = (written(text, form) for text in PUBLIC for form in FORMS)
    attack = "public numbers, amounts, dates in other digits"
    masked = (text if mask_personal_data(text).spans else "" for text in others)
    yield count("what is not personal stays", attack, masked)
