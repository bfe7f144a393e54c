"""Numbers that are personal only behind a word that says what they are: a cue, what may stand between, and the number.

All patterns are for folded texts (:mod:`tawasul_nlp.text.folding`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .personal_context import Found, is_amount, is_public, number, sizes_of
from .personal_cues import OF, TO, YEAR_AFTER, any_of, any_of_words
from .personal_patterns import (
    DAY,
    EIGHT_DIGITS,
    GAP,
    JOIN,
    MONTH,
    OF_A_YEAR,
    PHONE,
    PHONE_START,
    SPREADSHEET,
    YEAR,
)

# What may stand between a cue and its number. With a word for "number", a colon or "#" the link is strong. A full stop
# ends the search, for what comes behind it is another matter.
_RAQAM = r"ra[gqk8]a?m(?:i|y|ha|ah|a|na)?"
_NUMBER_WORD = rf"(?:[بو]?رقم{OF}|الرقم|(?:ال)?مرقمه?|ذات الرقم|no\.?|number|num|nr|id|#|{_RAQAM})"
_ITS_NUMBER = r"(?:ب?رقمه?ا?|no\.?|number)"
_SIGNS = r"\s:\-/#()=*\"'«»\[\]"
_LINK = rf"(?:[{_SIGNS}]{{0,3}}(?:{_NUMBER_WORD}|هو|هي|is|was)(?![^\W\d])){{0,2}}[{_SIGNS}]{{0,4}}(?<![A-Za-z])"
_STRONG_LINK = re.compile(rf"{_NUMBER_WORD}|[:#]", re.IGNORECASE)

_ENDS = r"(?![A-Za-z0-9_]|[.,]\d)"
# Digits with letters among them (REQ-2024/0012, 45/HS/1), and a year behind a slash.
_CODE = r"(?:[A-Za-z]{0,5}[-/]?|[ء-ي]{1,3}[-/])(?=(?:[-/\\_A-Za-z]{0,4}\d){3})\d[A-Za-z0-9]*+(?:[-/\\_][A-Za-z0-9]++)*+"
_VALUE = rf"(?:{_CODE}|\d{{1,5}} ?/ ?\d{{3,5}}(?!\d))(?: ?[/\\] ?(?:19|20)\d\d)?{_ENDS}"
_BRANCH = rf"\d{{3,6}} ?[-/] ?\d{{1,2}}{_ENDS}"  # of a commercial registration
_GROUPED = rf"(?:\d{{4}}(?:{GAP}\d{{4}}){{2,4}}|\d{{2,4}}(?:[ .]\d{{3,6}}){{1,3}}){_ENDS}"
# Three to six digits, in two groups or one by one; of neighbours with letters.
_PLATE = (
    rf"(?:[A-Za-z]{{1,3}}[ -])?(?!{EIGHT_DIGITS}(?!\d))"
    rf"(?:\d{{3}}[ -]\d{{1,3}}|\d\d \d\d(?: ?\d\d)?|\d(?: \d){{3,5}}|\d{{3,6}})(?: (?-i:[A-Z]{{3}}))?{_ENDS}"
)
_PASSPORT = rf"(?:[A-Za-z]{{1,3}}{JOIN})?\d(?:{JOIN}\d|[A-Za-z](?=\d)){{4,9}}[A-Za-z]?(?![A-Za-z0-9])"
# Nine digits however they are grouped; or fewer, of somebody born after 1999 whose zeros a spreadsheet dropped.
_NINE_DIGITS = rf"(?:\d{{9}}|\d(?:{JOIN}\d){{8}}|\d(?:0[1-9]|1[0-2])\d{{5}}|1[0-2]\d{{5}})(?!\d){SPREADSHEET}"

# Any words between what a number is of and "number", unless they begin an address or a phone number.
_PLACES = any_of_words("مجمع بلوك طريق شارع مبني بنايه عماره بيت منزل شقه فيلا محل باب بوابه كراج موقف دوار محطه")
_OTHER = rf"(?!{TO}(?:{_PLACES}|هاتف|تلفون))[^\W\d]{{2,12}}(?: (?:19|20)\d\d)?"
_MINE = r"مال(?:ي|نا|ت[يه])|حق(?:ي|نا)|عند(?:ي|نا)?|خاص|بي|بنا|في|لدي|قديم|جديد"


def _words(*alternatives: str) -> str:
    """Match up to three words that say more about a cue and stand between it and its number."""
    return rf"(?:\s{TO}{any_of(_MINE, *alternatives)}){{0,3}}"


_HOUSING = _words(
    r"ا?سكان(?:يه?)?|سكن(?:يه?)?|وزاره|وحده|بيت|قسيمه|شقه|قرض|تمليك|من|(?:سنه|عام) (?:19|20)\d\d|(?:el )?[ei]skan"
)
_OWNER = _words(r"محل(?:ي|نا)?|شرك(?:ه|تي|تنا)|مؤسس(?:ه|تي|تنا)|مطعم|فرع")
_PAYER = _words(r"جاري|توفير|مصرفي?|استثماري|كهرب(?:ا[ءه]?)?|ماء|ماي|بنكي?|مشترك|ewa|هيئه")
_CARS = any_of_words(
    "سيار[هت] مركب[هت] موتر شاحن[هت] دراج[هت] بي?كا?ب مقطور[هت] صهريج تريل[هت] جيب فان وانيت لوري سيكل دباب "
    "كامري كورولا لكزس باترول يوكن تاهو لاندكروزر نيسان تويوتا هوندا هيونداي مرسيدس "
    "sayy?ar(?:a|ti|tha|ta) moo?t[ea]r"
)
_VEHICLES = any_of_words(
    "car veh(?:icle)? truck van lorry motorbike motorcycle trailer pickup "
    "toyota nissan honda lexus hyundai camry patrol gmc"
)
_BUSES = any_of_words("باص حافل[هت] تاكسي تكسي")
_COMPLAINTS = any_of(rf"شكو[يت]{OF}|شكوا(?:ي|ه|ها|نا)|بلاغ{OF}|تظلم{OF}")
_WHICH = r"(?:\s(?:ال)?(?:مرجعي|سابقه?|قديمه?|جديده?|اولي?))?"
_FILES = any_of(rf"ملف{OF}", rf"معامل(?:ه|ت{OF})", rf"استمار(?:ه|ت{OF})", "قسيمه")

# The cues of each kind, and the form of its numbers. A named cue needs a strong link.
_CPR = any_of(
    rf"{TO}(?:(?:رقم|نمره){OF}\s)?(?:ال)?(?:شخصي|سكاني)(?:\s{TO}[^\W\d]{{2,9}}){{0,2}}?",
    rf"{TO}بطاق(?:ه|ت{OF})(?:\s(?:ال)?(?:هويه|سكانيه?|ذكيه|شخصيه))?",
    rf"{TO}سجل\s(?:ال)?سكاني",
    rf"{TO}هوي(?:ه|ت{OF})",
    r"ر\.? ?ش\.?|c\.?p\.?r\.?|id(?: card)?|(?:national|personal|civil|identity) (?:id|no\.?|number|card)",
)
_CR = any_of(
    rf"{TO}سجل\w{{0,3}}\s(?:ال)?تجاري{_OWNER}",
    r"س[. ]ت\.?|C\.?R\.?(?:\s[a-z]{2,8}(?=[:#]))?|commercial regist(?:er|ration)",
    rf"(?P<named>{TO}(?:سجل|قيد))",
)
_ACCOUNT = any_of(
    rf"{TO}حساب(?:{OF}|ين|ات){_PAYER}",
    # "my account with the bank of ... number": what is so far away is one only if it is not a phone's
    rf"{TO}حساب{OF}(?:\s{_OTHER}){{1,5}}(?=\s{_ITS_NUMBER}[\s:]{{1,2}}(?!{PHONE_START}\d{{8}}(?!\d))\d{{5}})",
    r"account|acct\.?|acc\.?|a/c|(?:[ea]l )?[7h][ei]?sab\w{0,2}",
    # "my savings account at the bank 900112233": a long number that is not a phone's
    rf"(?:{TO}حساب{OF}|account)(?P<far>(?:\s(?!{TO}(?:رقم|حساب)|no|num){_OTHER}){{1,4}}?)",
    rf"(?P<named>{TO}(?:مشترك|اشتراك|عميل|زبون){OF}|customer|consumer|subscriber)",
)
_REQUEST = any_of(
    rf"{TO}طلب(?:{OF}|ين|ات){_HOUSING}",
    rf"{TO}طلب{OF}(?:\s{_OTHER}){{1,3}}(?=\s{_NUMBER_WORD})",
    rf"(?:[ae]l )?[6t]alab(?:i|y|na|ah)?{_HOUSING}",
    # "my complaint about the road, no. 90124"
    rf"(?:{TO}{_COMPLAINTS}|request|application|complaint|ticket|case)(?:\s{_OTHER}){{1,4}}[,،]?(?=[\s(]{{1,2}}{_NUMBER_WORD})",
    rf"{TO}{_COMPLAINTS}{_WHICH}|رقم{OF}\s(?:ال)?مرجعي|{TO}رقم\sال?مرجعي",
    r"request|application|mrn|(?:our |my |your )?ref(?:erence)?\.?|complaint|ticket|(?:el |al )?(?:shakwa|balagh)",
    r"(?P<named>"
    + any_of(
        rf"{TO}{_FILES}{_HOUSING}",
        rf"{TO}(?:تذكر(?:ه|ت{OF})|مرجع|متابعه|مراجعه|حاله|احاله|مطالبه|محضر|تقرير|(?:موعد|حجز|استفسار|اعتراض){OF}){_WHICH}",
        r"case|s\.?r\.?|(?:app|req)\.?|file|incident|enquiry|inquiry|booking|appointment|follow-?up|claim|report",
    )
    + ")",
)
_PLATE_CUE = any_of(
    rf"{TO}لوح(?:ه|ت{OF}|تين|ات)(?:\s(?:ال)?(?:{_CARS}|{_BUSES}){OF})?(?:\s(?:{_MINE}))?",
    rf"{TO}نمر(?:ه|ت{OF})(?:\s(?:ال)?{_CARS}{OF})?",
    # "the car, a Yukon 2015, its number": three digits alone are a taxi's or a bus's
    r"(?P<car>"
    + any_of(
        rf"[بو]?رقم\s(?:ال)?{_CARS}{OF}",
        rf"(?:el |al )?{_CARS}(?=\s{_NUMBER_WORD})",
        rf"{TO}{_CARS}{OF}(?:\s{_OTHER}){{0,3}}\s(?:{_NUMBER_WORD}|نمرتها|نمرته)",
        rf"{_VEHICLES} (?:reg(?:istration)?|no\.?|number)",
    )
    + ")",
    # "a red car 229618"
    rf"(?P<described>(?:{TO}(?:{_CARS}|{_BUSES}){OF}(?:\s{_OTHER}){{0,3}}|{_VEHICLES})"
    rf"(?=[\s(]{{1,2}}(?:رقمه?ا? )?\d{{5,6}}(?!\d)))",
    rf"(?:number |licen[cs]e )?(?:plates?|plt)|loo?7a\w?(?:\s(?:[ea]l )?{_CARS})?",
    r"(?:خصوصي|ملاكي)(?=\s\d{4,6}(?!\d))",
)
_PASSPORT_CUE = any_of(
    # With words about it, a number must have a letter, or "number" before it, or be none of a phone's.
    any_of(
        rf"{TO}(?:جواز(?:ات|ين)?|باسبورت?|بسبور){OF}(?:\sال?سفر{OF})?",
        r"(?:pass ?ports?|travel doc(?:ument)?s?|p\.?p\.?t?\.?(?=\s?(?:no|num|#|:|[a-z]{1,2}\d)))",
    )
    + rf"(?P<words>(?:[\s(]{{1,2}}{_OTHER}\)?){{1,4}}?)??",
    r"jawaz\w{0,2}(?:\s(?:[ea]l\s?)?safar)?",
)
_CUES = {
    "cpr": (_CPR, _NINE_DIGITS),
    "cr": (_CR, any_of(_BRANCH, _VALUE)),
    "account": (_ACCOUNT, any_of(_GROUPED, _VALUE)),
    "request": (_REQUEST, _VALUE),
    "plate": (_PLATE_CUE, _PLATE),
    "passport": (_PASSPORT_CUE, _PASSPORT),
}
CUED = {
    kind: re.compile(
        r"(?<![^\W\d_])(?:(?P<strong>[وف]?(?:ب|ال)?رقم|رقمه|ra[gqk8]a?m)\s(?:el |al )?)?"
        # Two words may follow what begins with "number": the number of the account abroad.
        rf"{cue}(?:\s(?:{_MINE}))?(?(strong)(?:\s{_OTHER}){{0,2}}?)(?P<link>{_LINK})(?P<value>{value})",
        re.IGNORECASE,
    )
    for kind, (cue, value) in _CUES.items()
}
# What goes on with another number of the same kind: "plates 88412 and 4409", "request 8812047, 8790331".
_AND_ANOTHER = re.compile(
    r"(?:\s?\([^()\d]{1,12}\))?(?:\s?[,،/&+]|\s?و|\s(?:and|or|او|ثم|w))\s?(?:رقم )?"
    rf"(?P<value>[A-Za-z]{{0,4}}[-/]?\d[\d/-]*){_ENDS}",
    re.IGNORECASE,
)
_HOUSE = re.compile(
    rf"(?<![^\W\d_])(?:{TO}(?:بيت{OF}|منزل{OF}|شقه|شقت{OF}|فيلا|مبني|بنايه|عماره)"
    rf"|house|flat|villa|building|bldg|apartment|apt){_LINK}(?P<value>\d{{1,5}}[A-Za-z]?)(?![\w]|[.,/]\d)",
    re.IGNORECASE,
)


def cued(kind: str, text: str) -> Iterator[Found]:
    """Give the numbers of a kind behind words for it."""
    for match in CUED[kind].finditer(text):
        if _is_cued(kind, text, match):
            start, end = match.span("value")
            yield kind, start, end
            while (another := _AND_ANOTHER.match(text, end)) and _is_alike(match["value"], another["value"]):
                start, end = another.span("value")
                if not is_amount(text, start, end):
                    yield kind, start, end


def _is_alike(one: str, other: str) -> bool:
    """Tell whether two numbers are written in one way, letters for letters."""
    shapes = [(re.sub(r"\d+", "0", value), len(re.sub(r"\D+", "", value))) for value in (one, other)]
    (form, digits), (other_form, other_digits) = shapes
    return form == other_form and abs(digits - other_digits) <= 1 and other_digits >= 4


def _is_cued(kind: str, text: str, match: re.Match[str]) -> bool:
    """Tell whether a number behind a word is what the word says, and no amount, date or year."""
    start, end = match.span("value")
    found = match.group("value")
    digits = sum(char.isdigit() for char in found)
    if kind == "cpr":
        # The number of a row may stand before another's: 1 39001234.
        return DAY.fullmatch(found) is None and sizes_of(found)[:2] != (1, 8)
    if is_amount(text, start, end) or is_public(number(found)):
        return False
    is_strong = match.group("strong") or _STRONG_LINK.search(match.group("link"))
    if kind == "plate":
        return not (match["described"] and found.endswith("000")) and (digits > 3 or match["car"] is None)
    if _is_date(found) or YEAR.fullmatch(found):
        return False
    if kind == "passport":
        if any(map(str.isalpha, found)) or not match["words"] or is_strong:
            return digits >= 6 or found[0].isalpha()
        return digits >= 7 and PHONE.fullmatch(found) is None
    if kind == "account" and match["far"]:
        return digits >= 8 and PHONE.fullmatch(found) is None
    if is_strong:
        return digits >= 4
    if match.groupdict().get("named"):
        # "my ticket INC0012345", but not "my ticket 12345": that may be how many there are.
        return found[0].isalpha() and digits >= 4
    if OF_A_YEAR.fullmatch(found) or YEAR_AFTER.match(text, end):
        return True
    return digits >= 5 and not found.endswith("000") and MONTH.fullmatch(found) is None


def _is_date(found: str) -> bool:
    """Tell a day (12/05/2024) and a school year (2023/2024)."""
    parts = re.split(r"[-/\\]", found)
    return (len(parts) == 3 and sorted(map(len, parts))[1] <= 2 and max(map(len, parts)) <= 4) or (
        len(parts) == 2 and all(YEAR.fullmatch(part) for part in parts) and int(parts[1]) - int(parts[0]) == 1
    )


def houses(text: str) -> Iterator[Found]:
    """Give the numbers of houses and flats."""
    for match in _HOUSE.finditer(text):
        if not is_amount(text, *match.span("value")):
            yield "house", *match.span("value")
