"""Numbers that are personal only after a cue: the cue, what may stand between, and the number.

All patterns are for folded texts (:mod:`tawasul_nlp.text.folding`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .personal_context import Found, is_amount, is_behind, is_public, number, sizes_of
from .personal_cues import OF, OTHER_CUE, PLACE_CUE, TO, YEAR_AFTER, any_of, any_of_words
from .personal_patterns import (
    CPR,
    DAY,
    GAP,
    JOIN,
    MONTH,
    OF_A_YEAR,
    PHONE,
    PHONE_START,
    SPREADSHEET,
    YEAR,
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
_STRONG_LINK = re.compile(rf"{_NUMBER_WORD}|[:#|>=]|\.\.| \. ", re.IGNORECASE)

_ENDS = r"(?![A-Za-z0-9_]|[.,]\d)"
# Digits with letters among them (REQ-2024/0012, 45/HS/1), and a year after a slash.
_CODE = (
    r"(?:(?!BH?D)(?:[A-Za-z]{1,6}[-/]){0,2}[A-Za-z]{0,5}|[ء-ي]{1,3}[-/])"
    r"(?=(?:[-/\\_A-Za-z]{0,4}\d){3})\d[A-Za-z0-9]*+(?:[-/\\_][A-Za-z0-9]++)*+"
)
_VALUE = rf"(?:{_CODE}|\d{{1,5}} ?/ ?\d{{3,5}}(?!\d))(?: ?[/\\] ?(?:19|20)\d\d)?{_ENDS}"
_BRANCH = rf"\d{{3,6}} ?[-/] ?\d{{1,2}}{_ENDS}"  # of a commercial registration
_GROUPED = (
    rf"(?:\d{{4}}(?:{GAP}\d{{4}}){{2,4}}|\d{{2,4}}(?:[ .]\d{{3,6}}){{1,3}}(?: \d\d)?|\d\d(?: \d\d){{3,5}}){_ENDS}"
)
# Three to six digits, in two groups or one by one; with letters in neighbouring countries.
_PLATE = (
    rf"(?:[A-Za-z]{{1,3}}[ -]|(?:[ء-ي] ){{2,3}})?(?!{PHONE_START}\d(?:[ .-]?\d){{7}}(?!\d))"
    rf"(?:\d{{3}}[ -]\d{{1,3}}|\d\d \d\d(?: ?\d\d)?|\d(?: \d){{3,5}}|\d{{3,6}})(?: (?-i:[A-Z]{{3}}))?{_ENDS}"
)
_PASSPORT = (
    rf"(?:(?-i:[A-Z]{{1,3}}){JOIN}|[A-Za-z]{{1,3}})?\d(?:{JOIN}\d|[A-Za-z](?=\d)){{4,9}}[A-Za-z]?(?![A-Za-z0-9])"
)
# Nine digits in any grouping; or fewer, for somebody born after 1999 whose zeros a spreadsheet dropped.
_NINE_DIGITS = rf"(?:\d{{9}}|\d(?:{JOIN}\d){{8}}|\d(?:0[1-9]|1[0-2])\d{{5}}|1[0-2]\d{{5}})(?!\d){SPREADSHEET}"

# Any words between the thing numbered and "number", unless they begin an address, a phone number, or another thing
# with a number.
_PLACES = any_of_words("مجمع بلوك طريق شارع مبني بنايه عماره بيت منزل شقه فيلا محل باب بوابه كراج موقف دوار محطه")
_ELSE = any_of_words(
    "عداد فاتوره ايصال عمود مدرسه مستودع مسجد حاويه مصعد مضخه كاميرا ارض قطعه قرار قانون مرسوم ماده باص حافله "
    "غرفه قاعه صفحه لجنه مخالفه طابق رحله موديل خط هاتف تلفون جوال نقال موبايل"
)
_ENGLISH = any_of_words(
    "road rd street avenue block blk house flat building bldg room gate meter invoice bill bus route law decision "
    "article page flight model phone mobile tel line"
)
_OTHER = rf"(?!{TO}(?:{_PLACES}|{_ELSE})|{_ENGLISH}\s)[^\W\d]{{2,14}}(?: (?:19|20)\d\d(?!\d))?"
# The same, and places if the number is too long to be theirs.
_ANY = rf"(?:{_OTHER}|(?!{TO}{_ELSE})[^\W\d]{{2,14}}(?=[\s:]{{1,2}}(?:{_IS}\s)?\d{{6}}))"
_CARS = any_of_words(
    "سيار[هت] مركب[هت] موتر شاحن[هت] دراج[هت] بي?كا?ب مقطور[هت] صهريج تريل[هت] جيب فان وانيت لوري سيكل دباب "
    "كامري كورولا لكزس باترول يوكن تاهو لاندكروزر نيسان تويوتا هوندا هيونداي مرسيدس "
    "sayy?a+r(?:a|ah|eh|ti|ty|tha|tah|ta) mo+t[ea]r(?:i|y)?"
)
_OTHER_CUES = any_of_words(
    "طلب حساب سجل جواز لوح شكو بلاغ معامل تذكر شخصي سكاني "
    "account request passport plate ticket case complaint cpr cr id pp no number"
)
_DATE = r"(?:\d{1,2}(?:[/-]\d{1,2}[/-]\d{2,4})?|(?:19|20)\d\d)(?!\d)"
# "the subscription to the internet under number 300918274", "my complaint of 12/5/2024, no. 118844"
_FAR = (
    rf"(?:\s(?:(?!{TO}(?:{_OTHER_CUES}|{_CARS})){_OTHER}|{_DATE})){{1,6}}?"
    rf"[,،]?[\s(]{{1,2}}(?P<far>{any_of(_NUMBER_WORD, _IS)}(?![^\W\d])[{_SIGNS}]{{1,4}})"
)
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
_PAYER = _words(
    r"جاري|توفير|مصرفي?|استثماري|كهرب(?:ا[ءه]?)?|ماء|ماي|بنكي?|مشترك|هيئه|ewa(?!-)"
    rf"|{_EL}(?:kahr\w{{2,5}}|ma+[iy]|bank)|fe?l bank|{_EL}internet|(?:7a[gq]\s)?{_EL}kahr\w{{2,5}}"
)
_VEHICLES = any_of_words(
    r"car veh(?:icle)?\.? truck van lorry motorbike motorcycle trailer pickup "
    "toyota nissan honda lexus hyundai camry patrol gmc"
)
_BUSES = any_of_words("باص حافل[هت] تاكسي تكسي")
_COMPLAINTS = any_of(rf"شكو[يت]{OF}|شكوا(?:ي|ه|ها|نا)|بلاغ{OF}|تظلم{OF}")
_WHICH = r"(?:\s(?:ال)?(?:مرجعي|سابقه?|قديمه?|جديده?|اولي?))?"
_FILES = any_of(rf"ملف{OF}", rf"معامل(?:ه|ت{OF})", rf"استمار(?:ه|ت{OF})", "قسيمه")

# The cues of each kind, and the form of its numbers. A cue in the group `named` needs a strong link.
_CPR = any_of(
    rf"{TO}(?:(?:رقم|نمره){OF}\s)?(?:ال)?(?:شخصي|سكاني)(?:\s(?!{TO}{_ELSE}){TO}[^\W\d]{{2,9}}){{0,3}}?",
    rf"{TO}بطاق(?:ه|ت{OF})(?:\s(?:ال)?(?:هويه|سكانيه?|ذكيه|شخصيه))?(?:\s(?:مال|حق|تبع)\w{{0,2}}(?:\s[^\W\d]{{2,9}})?)?",
    rf"{_RAQAM}\s{_EL}(?:sha(?:kh|5)[9s]\w{{0,2}}|s[ou]kk?ani)",
    rf"{TO}سجل\s(?:ال)?سكاني",
    rf"{TO}هوي(?:ه|ت{OF})",
    r"ر\.? ?ش\.?|c\.?p\.?r\.?"
    r"|(?<!case )(?<!request )(?<!ticket )(?<!complaint )id(?: card)?"
    r"|(?:national|personal|civil|identity) (?:id|no\.?|number|card)",
)
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
_ACCOUNT = any_of(
    rf"{TO}حساب(?:{OF}|ين|ات){_PAYER}",
    rf"account|acct\.?|acc\.?|a/c|a\.?c\.?(?=\s?(?:no|num|#))|[7h][ie]?sa+b(?:i|y|na|at)?{_PAYER}",
    # "my savings account at the bank 900112233": a long number that is not a phone's
    rf"(?:{TO}حساب{OF}|account)(?P<distant>(?:\s(?!{TO}(?:رقم|حساب)|no|num){_ANY}){{1,4}}?)",
    rf"(?:{TO}(?:حساب|اشتراك){OF}|account|acct\.?)(?:\s{_OTHER}){{0,3}}{_LETTERED},?",
    rf"(?P<named>{TO}(?:مشترك|اشتراك|عميل|زبون){OF}|customer|cust\.?|client|consumer|subscriber|subscription"
    r"|(?:ish?|e)?shterak\w{0,2})",
)
_REQUEST = any_of(
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
        rf"ا?عط(?:و|ي|ت)\w{{0,4}}(?=\sرقم\s(?!{PHONE_START}\d{{8}}(?!\d)))",
        r"case|s\.?r\.?|(?:app|req)\.?|file|incident|enquiry|inquiry|booking|appointment|follow-?up|claim|report|petition",
        r"transaction|tra?nx?s?\.?|txn|trx|query|issue|work order|crm",
        r"mo?3a+m[ae]?la?\w{0,3}|ta[dzt]h?ka?r\w{1,4}|mal[ae]f+\w{0,2}|mar[jg][ae]?3\w{0,2}|mota+ba3\w{1,2}|mora+ja3\w{1,2}",
    )
    + ")",
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
_NUMBERED = re.compile(rf"{TO}رقم")
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
        rf"(?<![^\W\d_])(?:(?P<strong>[وف]?(?:ب|ال)?رقم|كود|رقمه|{_EL}{_RAQAM})\s)?{_EL}"
        rf"{cue}(?:\s(?:{_MINE}))?(?P<numbered>\s(?:number|no\.?|id)(?=\s[a-z]{{2}}))?"
        # Two words may follow a phrase that begins with "number": the number of the account abroad.
        rf"(?:(?(strong)(?:\s{_ANY}){{0,2}}?)(?P<link>{_LINK})|{_FAR}){_NO_YEAR}(?P<value>{value})",
        re.IGNORECASE,
    )
    for kind, (cue, value) in _CUES.items()
}
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
_ANY_BEHIND = re.compile(rf"\d\s?(?:[(،,-]?\s?{_THIS}رقم\s|{_IS_MY}|\()", re.IGNORECASE)
_BEHIND = {
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
    """Return the numbers of a kind that follow its cues."""
    for match in CUED[kind].finditer(text):
        if _is_cued(kind, text, match):
            start, end = match.span("value")
            yield kind, start, end
            while (another := _AND_ANOTHER.match(text, end)) and _is_alike(match["value"], another["value"]):
                start, end = another.span("value")
                if not is_amount(text, start, end):
                    yield kind, start, end


def before_cues(text: str) -> Iterator[Found]:
    """Return the numbers that precede their cues."""
    if not _ANY_BEHIND.search(text):
        return
    for kind, pattern in _BEHIND.items():
        for match in pattern.finditer(text):
            start, end = match.span("value")
            found = match["value"]
            is_other = is_behind(OTHER_CUE, text, start) or is_behind(PLACE_CUE, text, start)
            if not (is_other or _is_date(found) or YEAR.fullmatch(found) or is_public(found)):
                yield kind, start, end


def _is_alike(one: str, other: str) -> bool:
    """Return whether two numbers have the same form, letters for letters."""
    shapes = [(re.sub(r"\d+", "0", value), len(re.sub(r"\D+", "", value))) for value in (one, other)]
    (form, digits), (other_form, other_digits) = shapes
    return form == other_form and abs(digits - other_digits) <= 1 and other_digits >= 4


def _is_cued(kind: str, text: str, match: re.Match[str]) -> bool:
    """Return whether a number is what its cue says, not an amount, date or year."""
    start, end = match.span("value")
    found = match.group("value")
    digits = sum(char.isdigit() for char in found)
    if kind == "cpr":
        # A row number may precede another number: 1 39001234.
        return DAY.fullmatch(found) is None and sizes_of(found) not in ((1, 8), (8, 1))
    if is_amount(text, start, end) or is_public(number(found)):
        return False
    far = match.group("far")
    is_phone = PHONE.fullmatch(found) and not OF_A_YEAR.fullmatch(found)
    if far and (is_phone or is_behind(OTHER_CUE, text, start)):
        return False
    is_numbered = match["strong"] or match["numbered"] or _NUMBERED.match(match.group())
    is_strong = is_numbered or _STRONG_LINK.search(far or match["link"])
    if kind == "plate":
        return not (match["described"] and found.endswith("000")) and (digits > 3 or match["car"] is None)
    if _is_date(found) or YEAR.fullmatch(found):
        return False
    if kind == "passport":
        if any(map(str.isalpha, found)) or not match["words"] or is_strong:
            return digits >= 6 or found[0].isalpha()
        return digits >= 7 and PHONE.fullmatch(found) is None
    if match.groupdict().get("distant"):
        is_day = DAY.fullmatch(found) or re.fullmatch(r"20\d\d[01]\d[0-3]\d", found)
        is_other = is_phone or is_day or (kind == "request" and CPR.fullmatch(found))
        return digits >= 7 and not found.endswith("000") and not is_other
    if is_strong or found[0].isalpha():
        return digits >= 4
    if match.groupdict().get("named"):
        # "my ticket 118844", but not "my ticket 12345", which may be a count.
        is_other = is_phone or re.fullmatch(r"\d{9}|\d{8}/\d+", found)
        return digits >= 6 and not found.endswith("00") and not is_other
    if OF_A_YEAR.fullmatch(found) or YEAR_AFTER.match(text, end):
        return True
    if far and kind in ("account", "request"):
        return digits >= 7 and not found.endswith("000")  # "my account shows that the balance is 12550"
    return digits >= 5 and not found.endswith("000") and MONTH.fullmatch(found) is None


def _is_date(found: str) -> bool:
    """Return whether it is a day (12/05/2024) or a school year (2023/2024)."""
    parts = re.split(r"[-/\\]", found)
    if not all(map(str.isdigit, parts)):
        return False
    if len(parts) == 2:
        return all(map(YEAR.fullmatch, parts)) and ("-" in found or int(parts[1]) - int(parts[0]) == 1)
    lengths = sorted(map(len, parts))
    return len(parts) == 3 and lengths[1] <= 2 and lengths[2] in (2, 4) and min(map(int, parts)) <= 12


def houses(text: str) -> Iterator[Found]:
    """Return the numbers of houses and flats."""
    for match in _HOUSE.finditer(text):
        if not is_amount(text, *match.span("value")):
            yield "house", *match.span("value")
