"""Patterns of a country's numbers by their form, and of numbers that are personal only after a cue.

All of them are for folded texts (:func:`tawasul_nlp.text.personal.mask.fold`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from .patterns import (
    AFTER,
    AROUND,
    BEFORE,
    BETWEEN,
    GAP,
    JOIN,
    OF,
    SPREADSHEET,
    TO,
    TRUNK,
    any_of,
    any_of_words,
    listed,
)
from .plan import (
    NationalNumber,
    NumberPlan,
    Phones,
    abbreviation_pattern,
    form_length,
    form_pattern,
    phone_start,
    word_pattern,
)

# What may stand between a cue and its number. A word for "number", a colon or "#" makes a strong link. A full stop
# ends the search.
_EL = r"(?:[aei2]l[ -]?)?"  # the article in Arabizi
_RAQAM = r"r[aeiu]?[gqk8][aeiu]?m(?:i|y|ha|ah|eh|a|na)?"
_NUMBER_WORD = any_of(
    rf"(?:ذات |ذو |ذي )?(?:[بو]?رقم{OF}|ب?الرقم|(?:ال)?مرقمه?)",
    rf"no\.?|number|num|nr|code|كود|#|id(?!-\d)|{_EL}{_RAQAM}",  # ID-77140 is one code
)
_IS = r"(?:[وف]?هو|[وف]?هي|اهو|اهي|is(?!-\d)|was)"
_SIGNS = r"\s:\-/#()=*\"'«»\[\]|>·→➡👈👉"
_DOTS = r"(?:\s?\.{2,30}\s?| \. )"  # as forms have them
_LINK = (
    rf"(?:[{_SIGNS}]{{0,3}}(?:{_NUMBER_WORD}|{_IS})(?:(?<=\.)|(?![^\W\d]))){{0,2}}"
    rf"(?:{_DOTS}|[{_SIGNS}]{{0,4}})(?:(?<![A-Za-z])|(?=\d))"
)
STRONG_LINK = re.compile(rf"{_NUMBER_WORD}|[:#|>=]|\.\.| \. ", re.IGNORECASE)

_ENDS = r"(?![A-Za-z0-9_]|[.,]\d)"
_BRANCH = rf"\d{{3,6}} ?[-/] ?\d{{1,2}}{_ENDS}"  # of a commercial registration
_GROUPED = (
    rf"(?:\d{{4}}(?:{GAP}\d{{4}}){{2,4}}|\d{{2,4}}(?:[ .]\d{{3,6}}){{1,3}}(?: \d\d)?|\d\d(?: \d\d){{3,5}}){_ENDS}"
)
_PASSPORT = (
    rf"(?:(?-i:[A-Z]{{1,3}}){JOIN}|[A-Za-z]{{1,3}})?\d(?:{JOIN}\d|[A-Za-z](?=\d)){{4,9}}[A-Za-z]?(?![A-Za-z0-9])"
)
# Any words between the thing numbered and "number", unless they begin an address, a phone number, or another thing
# with a number.
_PLACES = listed("places")
_ELSE = listed("things")
_ENGLISH = listed("english")
_OTHER = rf"(?!{TO}(?:{_PLACES}|{_ELSE})|{_ENGLISH}\s)[^\W\d]{{2,14}}(?: (?:19|20)\d\d(?!\d))?"
# The same, and places if the number is too long to be theirs.
_ANY = rf"(?:{_OTHER}|(?!{TO}{_ELSE})[^\W\d]{{2,14}}(?=[\s:]{{1,2}}(?:{_IS}\s)?\d{{6}}))"
_CARS = listed("cars")
_DATE = r"(?:\d{1,2}(?:[/-]\d{1,2}[/-]\d{2,4})?|(?:19|20)\d\d)(?!\d)"
_NO_YEAR = rf"(?!(?:19|20)\d\d\s{any_of(_NUMBER_WORD, _IS)}[\s:])"  # "my request of 2004, its number is"
# "my request for the subsidy HS-20417", "... 3390/2018"
_LETTERED = r"(?=(?:[,،]?\s)(?:(?-i:[A-Z]{1,5}-\d{4})|\d{3,6}/(?:19|20)\d\d(?!\d)))"
_MINE = (
    r"مال(?:ي|نا|ه|ها|ت[يه]|تها)|حق(?:ي|نا|ه|ها)|عند(?:ي|نا|ك|كم)?|معا?كم|لد(?:ي|يكم|ينا)|خاص|بي|بنا|في|قديم|جديد"
    r"|mal[iy]|7a[gq]i"
)


def _words(*alternatives: str) -> str:
    """Match up to three words between a cue and its number that describe the cue."""
    return rf"(?:\s{TO}{any_of(_MINE, *alternatives)}){{0,3}}"


_HOUSING = _words(
    r"ا?سكان(?:يه?)?|سكن(?:يه?)?|وزاره|وحده|بيت|قسيمه|شقه|قرض|تمليك|من|(?:سنه|عام) (?:19|20)\d\d|(?:el )?[ei]skan"
)
_OWNER = _words(r"محل(?:ي|نا)?|شرك(?:ه|تي|تنا)|مؤسس(?:ه|تي|تنا)|مطعم|فرع")
_VEHICLES = listed("vehicles")
_BUSES = listed("buses")
_COMPLAINTS = any_of(rf"شكو[يت]{OF}|شكوا(?:ي|ه|ها|نا)|بلاغ{OF}|تظلم{OF}")
_WHICH = r"(?:\s(?:ال)?(?:مرجعي|سابقه?|قديمه?|جديده?|اولي?))?"
_FILES = any_of(rf"ملف{OF}", rf"معامل(?:ه|ت{OF})", rf"استمار(?:ه|ت{OF})", "قسيمه")

# The cues of each kind. A cue in the group `named` needs a strong link.
_REGISTRATION = r"(?:\d{4,6} ?-\d{1,2}|(?!\d*00)\d{5,6})(?![\d.,/-])"
_CR = any_of(
    rf"{TO}سجل\w{{0,3}}\s(?:ال)?تجاري{_OWNER}",
    r"س[. /]ت\.?|C\.?R\.?(?:\s[a-z]{2,8}(?=[:#]))?"
    r"|(?:commercial|company|business|trade) reg(?:ist(?:er|ration|ry))?\.?",
    rf"s[ei]?j[ei]l+(?:i|y|na|ha|ah|eh)?\s{_EL}t[ei]?ja*r[iy]",
    # "the shop whose register is 93377-1": the word is also a verb, so it counts only before a number of this form.
    rf"{TO}سجل(?:ي|ه|ها|نا|هم)?{_OWNER}(?=\s(?:{_IS}\s)?{_REGISTRATION})",
    rf"(?P<named>{TO}(?:سجل{OF}(?!\s(?:ال)?(?:طبي|صحي|سكاني|جنائي|عقاري|مدني))|قيد)"
    r"|s[ei]?j[ei]l+(?:i|na|ha|ah)?)",
)
_PLATE_CUE = any_of(
    rf"{TO}لوح(?:ه|ت{OF}|تين|ات)(?!\s(?:ال)?(?:توزيع|اعلان|كهرب|تحكم|ارشاد))"
    rf"(?:\s(?:ال)?(?:{_CARS}|{_BUSES}){OF}(?:\s{_OTHER}(?=:))?)?"
    rf"(?:\s(?:ال)?(?:بحريني|سعودي|قطري|كويتي|اماراتي|عماني|خليجي|خصوصي|اجنبي)[هت]?)?(?:\s(?:{_MINE}))?",
    rf"{TO}نمر(?:ه|ت{OF})(?:\s(?:ال)?{_CARS}{OF})?",
    # "the car, a Yukon 2015, its number": three digits alone are a taxi's or a bus's
    r"(?P<car>"
    + any_of(
        rf"[بو]?رقم\s(?:ال)?{_CARS}{OF}",
        rf"{_RAQAM}\s{_EL}{_CARS}|{_CARS}(?=\s{_NUMBER_WORD})",
        rf"{TO}{_CARS}{OF}(?:\s{_OTHER}){{0,3}}\s(?:{_NUMBER_WORD}|نمرتها|نمرته)",
        rf"{_VEHICLES} (?:reg(?:istration)?\.?|no\.?|number)|reg(?:istration|d)?\.?(?=\s?(?:no|num|#))",
    )
    + ")",
    # "a red car 229618"
    rf"(?P<described>(?:{TO}(?:{_CARS}|{_BUSES}){OF}(?:\s{_OTHER}){{0,3}}|{_VEHICLES})"
    rf"(?=[\s(]{{1,2}}(?:رقمه?ا? )?\d{{5,6}}(?!\d| ?(?:كم|الف)(?![^\W\d]))))",
    rf"(?:number |licen[cs]e )?(?:plates?|plt)(?:\s[a-z](?=[\s:]))?|lo{{1,2}}[7h]a?t?(?:i|y|ha|na)?(?:\s{_EL}{_CARS})?",
    r"(?:خصوصي|ملاكي)(?=\s\d{4,6}(?!\d))",
)
_PASSPORT_CUE = any_of(
    # With words in between, a number needs a letter or "number" before it, or must not look like a phone number.
    any_of(
        rf"{TO}(?:جواز(?:ات|ين)?|باسبورت?|بسبور){OF}(?:\sال?سفر{OF})?|{TO}(?:وثيق(?:ه|ت{OF})|وثائق)\s(?:ال)?سفر{OF}",
        r"(?:pass? ?ports?|travel doc(?:ument)?s?|p\.?p\.?t?\.?(?=\s?(?:no|num|#|:|[a-z]{1,2}\d)))",
    )
    + rf"(?P<words>(?:[\s(]{{1,2}}{_OTHER}\)?){{1,4}}?)??",
    rf"ja?wa+z\w{{0,3}}(?:\s{_EL}safar)?",
)
NUMBERED = re.compile(rf"{TO}رقم")
# A number before its cue, with no other number after it: "1940772 رقم جوازي", "841 is my request number".
_ITS = r"(?:ي|ه|ها|نا|هم)"
_AFTER_NUMBER = {
    "cr": (rf"سجل{_ITS}|سجل تجاري|السجل التجاري|cr|commercial registration", r"\d{4,6}(?: ?- ?\d{1,2})?"),
    "account": (rf"حساب{_ITS}|اشتراك{_ITS}|(?:ال)?حساب|account|acct|a/c|subscriber", r"\d{6,14}"),
    "request": (
        rf"طلب{_ITS}|معاملت{_ITS}|شكوا{_ITS}|بلاغ{_ITS}|تذكرت{_ITS}|ال(?:طلب|معامله|شكوي|بلاغ|تذكره)"
        r"|request|application|complaint|case|ticket|reference|ref",
        r"(?:[A-Za-z]{1,5}-?)?\d{5,}(?:[-/]\d+)*",
    ),
    "plate": (rf"لوح(?:ه|ت{_ITS}|ه سيارت{_ITS})|سيارت{_ITS}|(?:car )?plate|car|vehicle", r"\d{4,6}"),
    "passport": (rf"جواز{_ITS}|جواز(?: ال?سفر{_ITS}?)?|(?:ال)?جواز|passport", r"[A-Za-z]{0,2}\d{6,9}"),
}
_THIS = r"(?:(?:و?هو|و?هذا|و?هي|هذي)\s)?"
_IS_MY = r"(?:is|was|=|-)\s(?:my|our|the|his|her|their)\s"
# Searched first, because most texts have none.
ANY_BEHIND = re.compile(rf"\d\s?(?:[(،,-]?\s?{_THIS}رقم\s|{_IS_MY}|\()", re.IGNORECASE)
BEHIND = {
    kind: re.compile(
        rf"(?:(?<![\w.,/-])|(?<=\bو))(?P<value>{value})\s?"
        + any_of(
            rf"[(،,-]?\s?{_THIS}رقم\s(?:{noun})",
            rf"{_IS_MY}(?:[a-z]{{2,10}}\s)??(?:{noun})",
            rf"\((?:my |our )?(?:{noun})(?:\s(?:no\.?|number|id))?\)",
        )
        + rf"(?![^\W\d])(?!(?:\s{_OTHER}){{0,2}}{_LINK}[A-Za-z]{{0,4}}-?\d{{3}})",
        re.IGNORECASE,
    )
    for kind, (noun, value) in _AFTER_NUMBER.items()
}
# What connects another number of the same kind: "plates 88412 and 4409", "request 8812047, 8790331".
AND_ANOTHER = re.compile(
    r"(?:\s?\([^()\d]{1,12}\))?(?:\s?[,،/&+]|\s?و|\s(?:and|or|او|ثم|w))\s?(?:رقم )?"
    rf"(?P<value>[A-Za-z]{{0,4}}[-/]?\d[\d/-]*){_ENDS}",
    re.IGNORECASE,
)
HOUSE = re.compile(
    rf"(?<![^\W\d_])(?:{TO}(?:بيت{OF}|منزل{OF}|شقه|شقت{OF}|فيلا|مبني|بنايه|عماره)"
    rf"|house|flat|villa|building|bldg|apartment|apt){_LINK}(?P<value>\d{{1,5}}[A-Za-z]?)(?![\w]|[.,/]\d)",
    re.IGNORECASE,
)


def cued_patterns(plan: NumberPlan) -> dict[str, re.Pattern[str]]:
    """Return for each kind the pattern of a cue and its number, in the order in which they are searched."""
    value = _value(plan)
    far = _far(plan.national)
    cues = {
        "cpr": (_national_cue(plan.national), _national_value(plan.national)),
        "cr": (_CR, any_of(_BRANCH, value)),
        "account": (_account_cue(plan.billers), any_of(_GROUPED, value)),
        "request": (_request_cue(plan), value),
        "plate": (_PLATE_CUE, _plate(plan)),
        "passport": (_PASSPORT_CUE, _PASSPORT),
    }
    return {
        kind: re.compile(
            rf"(?<![^\W\d_])(?:(?P<strong>[وف]?(?:ب|ال)?رقم|كود|رقمه|{_EL}{_RAQAM})\s)?{_EL}"
            rf"{cue}(?:\s(?:{_MINE}))?(?P<numbered>\s(?:number|no\.?|id)(?=\s[a-z]{{2}}))?"
            # Two words may follow a phrase that begins with "number": the number of the account abroad.
            rf"(?:(?(strong)(?:\s{_ANY}){{0,2}}?)(?P<link>{_LINK})|{far}){_NO_YEAR}(?P<value>{value})",
            re.IGNORECASE,
        )
        for kind, (cue, value) in cues.items()
    }


def _value(plan: NumberPlan) -> str:
    """Match digits with letters among them (REQ-2024/0012, 45/HS/1), and a year after a slash."""
    letters = r"(?:[A-Za-z]{1,6}[-/]){0,2}[A-Za-z]{0,5}"
    no_sum = f"(?!{'|'.join(plan.currency_codes)})" if plan.currency_codes else ""
    code = (
        rf"(?:{no_sum}{letters}|[ء-ي]{{1,3}}[-/])"
        r"(?=(?:[-/\\_A-Za-z]{0,4}\d){3})\d[A-Za-z0-9]*+(?:[-/\\_][A-Za-z0-9]++)*+"
    )
    return rf"(?:{code}|\d{{1,5}} ?/ ?\d{{3,5}}(?!\d))(?: ?[/\\] ?(?:19|20)\d\d)?{_ENDS}"


def _plate(plan: NumberPlan) -> str:
    """Match three to six digits, in two groups or one by one; with letters in neighbouring countries."""
    own = "".join(f"{form_pattern(form)}|" for form in plan.plates)
    phone, more = phone_start(plan.phones), plan.phones.digits - 1
    return (
        rf"(?:[A-Za-z]{{1,3}}[ -]|(?:[ء-ي] ){{2,3}})?(?!{phone}\d(?:[ .-]?\d){{{more}}}(?!\d))"
        rf"(?:{own}\d{{3}}[ -]\d{{1,3}}|\d\d \d\d(?: ?\d\d)?|\d(?: \d){{3,5}}|\d{{3,6}})(?: (?-i:[A-Z]{{3}}))?{_ENDS}"
    )


def _national_value(number: NationalNumber) -> str:
    """Match the digits of a national number in any grouping, or fewer whose leading zeros were lost."""
    sizes = sorted({form_length(form) for form in number.forms}, reverse=True)
    whole = [pattern for size in sizes for pattern in (rf"\d{{{size}}}", rf"\d(?:{JOIN}\d){{{size - 1}}}")]
    return rf"{any_of(*whole, *map(form_pattern, number.shortened))}(?!\d){SPREADSHEET}"


def _far(number: NationalNumber) -> str:
    """Match what may stand between a cue and "number": "the subscription to the internet under number 300918274"."""
    adjectives = " ".join(map(word_pattern, number.adjectives))
    latin = " ".join(abbreviation for abbreviation in number.abbreviations if abbreviation.isascii())
    other_cues = any_of_words(
        f"طلب حساب سجل جواز لوح شكو بلاغ معامل تذكر {adjectives} "
        f"account request passport plate ticket case complaint {latin} cr id pp no number"
    )
    return (
        rf"(?:\s(?:(?!{TO}(?:{other_cues}|{_CARS})){_OTHER}|{_DATE})){{1,6}}?"
        rf"[,،]?[\s(]{{1,2}}(?P<far>{any_of(_NUMBER_WORD, _IS)}(?![^\W\d])[{_SIGNS}]{{1,4}})"
    )


def _national_cue(number: NationalNumber) -> str:
    adjectives = "|".join(map(word_pattern, number.adjectives))
    cards = "|".join(map(word_pattern, number.card_adjectives)) or "هويه"
    latin = "|".join(map(word_pattern, number.latin_adjectives))
    phrases = [rf"{TO}{word_pattern(phrase).replace(chr(92) + 's', chr(92) + 's(?:ال)?')}" for phrase in number.phrases]
    short = "".join(f"{abbreviation_pattern(letters)}|" for letters in number.abbreviations)
    return any_of(
        rf"{TO}(?:(?:رقم|نمره){OF}\s)?(?:ال)?(?:{adjectives})(?:\s(?!{TO}{_ELSE}){TO}[^\W\d]{{2,9}}){{0,3}}?",
        rf"{TO}بطاق(?:ه|ت{OF})(?:\s(?:ال)?(?:{cards}))?(?:\s(?:مال|حق|تبع)\w{{0,2}}(?:\s[^\W\d]{{2,9}})?)?",
        *([rf"{_RAQAM}\s{_EL}(?:{latin})"] if latin else ()),
        *phrases,
        rf"{TO}هوي(?:ه|ت{OF})",
        rf"{short}(?<!case )(?<!request )(?<!ticket )(?<!complaint )id(?: card)?"
        r"|(?:national|personal|civil|identity) (?:id|no\.?|number|card)",
    )


def _account_cue(billers: Sequence[str]) -> str:
    named = "".join(f"{word_pattern(biller)}(?!-)|" for biller in billers)
    payer = _words(
        r"جاري|توفير|مصرفي?|استثماري|كهرب(?:ا[ءه]?)?|ماء|ماي|بنكي?|مشترك|هيئه"
        rf"|{named}{_EL}(?:kahr\w{{2,5}}|ma+[iy]|bank)|fe?l bank|{_EL}internet|(?:7a[gq]\s)?{_EL}kahr\w{{2,5}}"
    )
    return any_of(
        rf"{TO}حساب(?:{OF}|ين|ات){payer}",
        rf"account|acct\.?|acc\.?|a/c|a\.?c\.?(?=\s?(?:no|num|#))|[7h][ie]?sa+b(?:i|y|na|at)?{payer}",
        # "my savings account at the bank 900112233": a long number that is not a phone's
        rf"(?:{TO}حساب{OF}|account)(?P<distant>(?:\s(?!{TO}(?:رقم|حساب)|no|num){_ANY}){{1,4}}?)",
        rf"(?:{TO}(?:حساب|اشتراك){OF}|account|acct\.?)(?:\s{_OTHER}){{0,3}}{_LETTERED},?",
        rf"(?P<named>{TO}(?:مشترك|اشتراك|عميل|زبون){OF}|customer|cust\.?|client|consumer|subscriber|subscription"
        r"|(?:ish?|e)?shterak\w{0,2})",
    )


def _request_cue(plan: NumberPlan) -> str:
    phone, digits = phone_start(plan.phones), plan.phones.digits
    return any_of(
        rf"{TO}طلب(?:{OF}|ين|ات){_HOUSING}",
        rf"[6t]ala?b(?:i|y|na|ah|t[iy])?{_HOUSING}",
        rf"(?:{TO}(?:طلب{OF}|{_COMPLAINTS}|{_FILES})|request|application|complaint|ticket|case)"
        rf"(?:\s{_OTHER}){{0,3}}{_LETTERED},?",
        rf"{TO}{_COMPLAINTS}{_WHICH}|رقم{OF}\s(?:ال)?مرجعي|{TO}رقم\sال?مرجعي|{TO}سجل{OF}\s(?:ال)?(?:طبي|صحي)",
        rf"(?:{TO}(?:طلب{OF}|{_COMPLAINTS})|request|complaint)(?P<distant>(?:\s{_OTHER}){{1,3}}?)(?=\s\d{{7}})",
        r"request|application|mrn|medical (?:record|file)|(?:our |my |your )?ref(?:erence)?\.?"
        r"|complaint|ticket|sha[kq]w[ae]\w{0,2}|balagh\w{0,2}",
        r"(?P<named>"
        + any_of(
            rf"{TO}{_FILES}{_HOUSING}",
            rf"{TO}(?:تذكر(?:ه|ت{OF})|تي?كت|ري?فرنس|مرجع|متابعه|مراجعه|حاله|احاله|مطالبه|محضر|تقرير){_WHICH}",
            rf"{TO}(?:موعد|حجز|استفسار|اعتراض){OF}{_WHICH}",
            # "they gave me number 118844"
            rf"ا?عط(?:و|ي|ت)\w{{0,4}}(?=\sرقم\s(?!{phone}\d{{{digits}}}(?!\d)))",
            r"case|s\.?r\.?|(?:app|req)\.?|file|incident|enquiry|inquiry|booking|appointment|follow-?up|claim|report|petition",
            r"transaction|tra?nx?s?\.?|txn|trx|query|issue|work order|crm",
            r"mo?3a+m[ae]?la?\w{0,3}|ta[dzt]h?ka?r\w{1,4}|mal[ae]f+\w{0,2}|mar[jg][ae]?3\w{0,2}|mota+ba3\w{1,2}|mora+ja3\w{1,2}",
        )
        + ")",
    )


# How many digits follow a country code, in neighbouring countries and in those that residents come from.
_ABROAD = (("966|971", "9"), ("965|968|973|974", "8"), ("1|20|44|63|880|9[0128]", "10"), ("977|9[34]", "9,10"))
# How mobile numbers start in neighbouring countries.
_NEIGHBOURS = {"966": "5", "971": "5", "965": "[569]", "968": "[79]", "973": "[36]", "974": "[3567]"}


@dataclass(frozen=True, slots=True, eq=False)
class PersonalNumbers:
    """The compiled rules of one pack.

    Attributes
    ----------
    plan : NumberPlan
    national, phone, prefixed_phone, foreign_phone, code_behind, letters_among : Pattern
    cued : dict of str to Pattern
        By kind, a cue and its number.
    national_cue : Pattern
        Of the text before a number.
    unit_after, unit_before : Pattern
        Of an amount.
    """

    plan: NumberPlan
    national: re.Pattern[str]
    phone: re.Pattern[str]
    prefixed_phone: re.Pattern[str]
    foreign_phone: re.Pattern[str]
    code_behind: re.Pattern[str]
    letters_among: re.Pattern[str]
    cued: dict[str, re.Pattern[str]]
    national_cue: re.Pattern[str]
    unit_after: re.Pattern[str]
    unit_before: re.Pattern[str]


@lru_cache(maxsize=8)
def compiled(plan: NumberPlan) -> PersonalNumbers:
    """Compile what a pack says of personal numbers."""
    national, phones = plan.national, plan.phones
    forms = any_of(*(form_pattern(form, JOIN) for form in national.forms))
    start, more = phone_start(phones), phones.digits - 1
    shortest, longest = sorted((phones.digits, national.digits))
    return PersonalNumbers(
        plan,
        national=re.compile(f"{BEFORE}{forms}{AFTER}{SPREADSHEET}"),
        # With a comma and the like only after a cue for a phone number.
        phone=re.compile(
            rf"(?<!\d)(?:\((?=\d\d\)))?{start}\d(?:(?:[,،:+=](?! )|[{BETWEEN})(]{{0,5}}+)\d){{{more}}}"
            rf"(?!\d){SPREADSHEET}"
        ),
        prefixed_phone=_prefixed_phone(phones),
        foreign_phone=_foreign_phone(phones),
        # 39001234 (973)
        code_behind=re.compile(rf" ?[(+]{{1,2}}{phones.country_code}[)+]{{0,2}}(?!\d)| ?{phones.country_code}\+"),
        # Letters for digits, from scanning or typing: 39OO1234.
        letters_among=re.compile(
            r"(?<![^\W_])(?=[\d -]{0,9}[OoIl])(?=(?:[OoIl -]{0,3}\d){5})"
            rf"[\dOoIl](?:[ -]?[\dOoIl]){{{shortest - 1},{longest - 1}}}(?![^\W_])"
        ),
        cued=cued_patterns(plan),
        national_cue=_cue_before(national),
        unit_after=_unit_after(plan),
        unit_before=_unit_before(plan),
    )


def _prefixed_phone(phones: Phones) -> re.Pattern[str]:
    """Match numbers with a country code: the country's own, and others marked by a plus or two zeros."""
    code, digits = phones.country_code, phones.digits
    spaced = AROUND.join(code)
    others = [("|".join(one for one in codes.split("|") if one != code), count) for codes, count in _ABROAD]
    abroad = "|".join(rf"(?:{codes}){TRUNK}(?:{AROUND}\d){{{count}}}(?!\d)" for codes, count in others)
    return re.compile(
        rf"(?:[+(]{{1,2}}+ ?|(?<![\d.,])0{AROUND}0{AROUND}){spaced}[\]}},:]?{TRUNK}"
        rf"(?:{AROUND}\d){{{digits}}}(?!\d){SPREADSHEET}"
        rf"|{BEFORE}{code}[+]?{AROUND}{phone_start(phones)}\d(?:{AROUND}\d){{{digits - 1}}}{AFTER}{SPREADSHEET}"
        rf"|(?:\+{AROUND}|(?<![\d.,])00{AROUND})(?:{abroad})"
        rf"|\+{AROUND}(?!{code})[1-9]{TRUNK}(?:{AROUND}\d){{8,12}}(?!\d)"
        # The plus after the code or the number, as some write right to left.
        rf"|(?<![\w+.,-])[1-9]\d{{0,2}}\+{AROUND}\d(?:{AROUND}\d){{7,11}}(?!\d)|(?<![\w+.,-])[1-9]\d{{9,12}}\+(?!\d)"
        rf"|(?<![\w.,-])00[1-9](?:{AROUND}\d){{9,12}}(?!\d)"
    )


def _foreign_phone(phones: Phones) -> re.Pattern[str]:
    """Match neighbours' numbers: without a plus after a cue for a phone number, or as a mobile in national format."""
    neighbours = "|".join(f"{code}{JOIN}{start}" for code, start in _NEIGHBOURS.items() if code != phones.country_code)
    return re.compile(
        rf"(?<![\d+])(?:(?:{neighbours})(?:{JOIN}\d){{7}}\d?"
        rf"|(?:91|92|20|44|63|94|880|977)(?:{JOIN}\d){{10}}|05(?:{JOIN}\d){{8}})(?!\d)"
    )


def _cue_before(number: NationalNumber) -> re.Pattern[str]:
    adjectives = [rf"{word_pattern(word)}\w{{0,2}}" for word in number.adjectives]
    latin = [abbreviation_pattern(letters) for letters in number.abbreviations if letters.isascii()]
    words = any_of(*adjectives, r"هوي(?:ه|ت)\w{0,2}", r"بطاق(?:ه|ت)\w{0,2}", *latin)
    return re.compile(rf"{words}(?:\W{{1,3}}(?:رقم|no|number|هو|is))*\W{{0,3}}\Z", re.IGNORECASE)


def _unit_after(plan: NumberPlan) -> re.Pattern[str]:
    signs = "".join(f"{re.escape(sign)}|" for sign in plan.currency_signs)
    codes = "".join(f"{code}|" for code in plan.currency_codes)
    return re.compile(
        r"\)?\s{0,2}"
        + any_of(
            rf"(?:دينار|دنانير|فلس|فلوس|{signs}ريال|درهم|دولار|ا?متار|متر|كيلو(?:متر|واط|وات)?|واط|وات|لتر|ليتر|نسمه)"
            r"(?:ا|ات|ين)?(?![^\W\d_])",
            r"[%٪]",
            rf"(?:{codes}USD|dinars?|fils|sqm|km|kwh|litres?|liters?|gallons?)(?![A-Za-z])",
        ),
        re.IGNORECASE,
    )


def _unit_before(plan: NumberPlan) -> re.Pattern[str]:
    signs = "".join(f"{re.escape(sign)}|" for sign in plan.currency_signs)
    codes = "".join(f"{code}|" for code in plan.currency_codes)
    return re.compile(
        rf"(?:(?<![A-Za-z])(?:{codes}USD)|{signs}مبلغ|(?:قيم|تكلف|ميزاني)(?:ه|تها?)|قرا[ءي]ه (?:ال)?عداد)"
        r"\.?[\s:(]{0,3}\Z",
        re.IGNORECASE,
    )
