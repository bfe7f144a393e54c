"""Odd spellings of personal numbers, which masks must find, and of public ones and amounts, which must stay.

Every number is written with each form of digits and each sign between its groups, in several groupings.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from tawasul_nlp.text import mask_personal_data
from tests.robustness.outcome import Outcome

FORMS = {
    "ASCII": "0123456789",
    "Arabic-Indic": "٠١٢٣٤٥٦٧٨٩",
    "Persian": "۰۱۲۳۴۵۶۷۸۹",
    "full width": "０１２３４５６７８９",
    "bold": "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗",
    "double-struck": "𝟘𝟙𝟚𝟛𝟜𝟝𝟞𝟟𝟠𝟡",
    "monospaced": "𝟶𝟷𝟸𝟹𝟺𝟻𝟼𝟽𝟾𝟿",
    "superscript": "⁰¹²³⁴⁵⁶⁷⁸⁹",
    "subscript": "₀₁₂₃₄₅₆₇₈₉",
    "circled": "⓪①②③④⑤⑥⑦⑧⑨",
    "negative circled": "⓿❶❷❸❹❺❻❼❽❾",
    "Devanagari": "०१२३४५६७८९",
    "Bengali": "০১২৩৪৫৬৭৮৯",
    "segmented": "🯰🯱🯲🯳🯴🯵🯶🯷🯸🯹",
    "keycaps": tuple(f"{digit}\ufe0f\u20e3" for digit in "0123456789"),
}
SIGNS = {
    "space": " ",
    "no-break space": "\u00a0",
    "thin space": "\u2009",
    "narrow no-break space": "\u202f",
    "ideographic space": "\u3000",
    "two spaces": "  ",
    "tab": "\t",
    "line break": "\n",
    "Windows line break": "\r\n",
    "hyphen": "-",
    "no-break hyphen": "\u2011",
    "figure dash": "\u2012",
    "en dash": "\u2013",
    "em dash": "\u2014",
    "minus": "\u2212",
    "spaced hyphen": " - ",
    "dot": ".",
    "middle dot": "·",
    "bullet": "•",
    "slash": "/",
    "spaced slash": " / ",
    "division slash": "\u2215",
    "backslash": "\\",
    "underscore": "_",
    "bar": "|",
}
#: What nobody sees: between any two digits.
HIDDEN = {
    "left-to-right mark": "\u200e",
    "right-to-left mark": "\u200f",
    "Arabic letter mark": "\u061c",
    "zero-width space": "\u200b",
    "zero-width joiner": "\u200d",
    "word joiner": "\u2060",
    "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad",
    "isolate": "\u2068",
    "kashida": "\u0640",
    "haraka": "\u064e",
    "null": "\0",
}
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
#: What must stay, in whatever digits.
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


def written(number: str, form: Iterable[str], sign: str = " ") -> str:
    """Write a number in other digits, with another sign between its groups."""
    digits = tuple(form)
    return "".join(
        digits[int(char)] if char.isascii() and char.isdigit() else char for char in number.replace(" ", sign)
    )


def personal(kind: str) -> Iterator[tuple[str, str]]:
    """Give the odd spellings of a kind's numbers: what was done, and the text with the number's place in braces."""
    for around, number in NUMBERS[kind]:
        for name, form in FORMS.items():
            yield f"{name} digits", around.replace("{}", f"{{{written(number, form)}}}")
            if " " in number:
                for sign in SIGNS:
                    yield f"{name} digits, {sign}", around.replace("{}", f"{{{written(number, form, SIGNS[sign])}}}")
        for name, sign in HIDDEN.items():
            yield name, around.replace("{}", f"{{{sign.join(number)}}}")
        if kind == "cpr":
            yield "spreadsheet", around.replace("{}", f"{{{number}.0}}")


def mixed(kind: str, trials: int, seed: int) -> Iterator[tuple[str, str]]:
    """Give numbers each of whose digits has a form of its own, with something hidden between them."""
    draw = random.Random(f"{seed} {kind}")
    for _ in range(trials):
        around, number = draw.choice(NUMBERS[kind])
        sign = draw.choice(list(SIGNS.values()))
        chars = [written(char, draw.choice(list(FORMS.values())), sign) for char in number]
        hidden = [draw.choice(list(HIDDEN.values())) if draw.random() < 0.3 else "" for _ in chars[1:]]
        inside = "".join(map("".join, zip(chars, [*hidden, ""], strict=True)))
        yield "mixed", around.replace("{}", f"{{{inside}}}")


def is_masked(marked: str) -> bool:
    """Tell whether what stands in braces is masked, and nothing else."""
    before, inside = marked.split("{", 1)
    inside, after = inside.rsplit("}", 1)
    text = before + inside + after
    spans = mask_personal_data(text).spans
    covered = {position for span in spans for position in range(span.start, span.end) if text[position].isalnum()}
    return covered == {len(before) + index for index, char in enumerate(inside) if char.isalnum()}


def stays(text: str) -> bool:
    """Tell whether nothing of a text is masked."""
    return not mask_personal_data(text).spans


def _outcome(promise: str, attack: str, results: Iterable[tuple[str, bool]]) -> Outcome:
    counted = list(results)
    failed = sorted({name for name, held in counted if not held})
    return Outcome(promise, attack, len(counted), sum(not held for _, held in counted), "; ".join(failed[:5]))


def run(trials: int, seed: int) -> Iterator[Outcome]:
    """Write personal and public numbers in every way."""
    promise = "personal numbers are masked, however they are written"
    for kind in NUMBERS:
        cases = personal(kind)
        yield _outcome(
            promise, f"{kind}: other digits, signs and hidden characters", ((n, is_masked(t)) for n, t in cases)
        )
        cases = mixed(kind, trials, seed)
        yield _outcome(promise, f"{kind}: all of them mixed", ((name, is_masked(text)) for name, text in cases))
    cases = ((email, f"ايميلي {{{email}}} للرد") for email in EMAILS)
    yield _outcome("e-mail addresses are masked", "spelled oddly", ((name, is_masked(text)) for name, text in cases))
    promise = "what is not personal stays"
    others = [(f"{name}: {text}", written(text, form)) for text in PUBLIC for name, form in FORMS.items()]
    yield _outcome(promise, "public numbers, amounts, dates in other digits", ((n, stays(t)) for n, t in others))
