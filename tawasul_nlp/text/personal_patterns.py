"""What personal data looks like: patterns, and the words that say what a number is.

All of them are for texts without :data:`MARKS` and with the characters of :data:`PLAIN`.
"""

from __future__ import annotations

import re

#: Digits as ASCII, and letters that people write for one another as one of them; none changes the length.
PLAIN = {
    **{zero + value: str(value) for zero in (0x0660, 0x06F0, 0xFF10) for value in range(10)},
    **{ord(letter): plain for letter, plain in zip("أإآٱىیةکہ", "ااااييهكه", strict=True)},
}
#: Kashida, harakat and what is not seen at all: they cut words and numbers that are one for a reader.
MARKS = re.compile("[\u0640\u064b-\u0652\u0670\u00ad\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
# What people put between digits.
GAP = r"[ \-\u00a0]"
DIGIT = re.compile("[0-9]")
LATIN = re.compile(r"[A-Za-z]")

EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]++(?:@[A-Za-z0-9-]++(?:\.[A-Za-z0-9-]++)++"
    # Of the providers that most people are with, also with spaces around the sign or without the end.
    r"| ?@ ?(?:gmail|hotmail|yahoo|outlook|icloud|live) ?[.,] ?(?:com|net|org)(?![A-Za-z0-9])"
    r"|@(?:gmail|hotmail|yahoo|icloud)(?![A-Za-z0-9]))",
    re.IGNORECASE,
)
# Looked for at every word, also inside what looks like one from the word before: "no 12 BH67...".
IBAN = re.compile(rf"(?<![A-Za-z0-9])(?=([A-Za-z]{{2}}{GAP}?\d{GAP}?\d(?:{GAP}?[A-Za-z0-9]){{11,30}}))")
# How long it is, country by country: those around, and those where people here come from or hold accounts.
_IBANS = (
    "BH22 SA24 AE23 KW30 QA29 OM23 YE30 IQ23 JO30 LB28 PS29 EG29 SD18 LY25 TN24 TR26 PK24 CY28 "
    "GB22 IE22 DE22 FR27 IT27 ES24 PT25 NL18 BE16 CH21 AT20 SE24 NO15 DK18 GR27"
)
IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in _IBANS.split()}
# Letters may touch a number, and signs that join it to nothing or to another whole number (39001234/36001234); what
# they join to other digits is part of a decimal or a longer code, but for the number of an item (1-39001234).
_BEFORE = rf"(?<!\d)(?:(?<!\d[.,/-])|(?<=\d{{8}}[.,/-])|(?<=\d{{4}}{GAP}\d{{4}}[.,/-])|(?<=\s\d-)|(?<=^\d-))"
_AFTER = rf"(?!\d|[.,/-](?=\d)(?!\d{{4}}{GAP}?\d{{4}}))"
STANDS_ALONE = re.compile(_BEFORE), re.compile(_AFTER)
# In two parts only if it starts with a month of birth and not with what may be a year.
CPR = re.compile(rf"{_BEFORE}(?:\d{{9}}|(?!19|20)\d\d(?:0[1-9]|1[0-2]){GAP}\d{{5}}){_AFTER}")
_PHONE_START = rf"(?=3|6{GAP}?[36]|1{GAP}?[367]|7{GAP}?7)"
_EIGHT_DIGITS = rf"\d(?:{GAP}?\d){{7}}"
PREFIXED_PHONE = re.compile(
    rf"(?:\+{GAP}?|(?<!\d)00{GAP}?)973(?:(?:{GAP}|[().]){{0,2}}\d){{8}}(?!\d)"
    rf"|{_BEFORE}973{GAP}{{0,2}}{_PHONE_START}{_EIGHT_DIGITS}{_AFTER}"
    # Of other countries, by the plus or by the code of a neighbour or of where many come from.
    rf"|(?:\+{GAP}?(?!973)[1-9]|(?<!\d)00{GAP}?(?:966|971|965|968|974|20|44|63|880|9[1-4]|977))(?:{GAP}?\d){{8,12}}(?!\d)"
)
# With full stops only where a word calls for a phone number.
PHONE = re.compile(rf"(?<!\d){_PHONE_START}\d(?:(?:{GAP}|\.)?\d){{7}}(?!\d)")
# How people group the digits of a phone number. Other groups may be a list of small numbers.
PHONE_GROUPS = frozenset({(8,), (4, 4), (2, 6), (2, 3, 3), (3, 5)})
_TO = r"(?:[وف]?(?:ال|بال|لل|عال|[بل])?)"  # what may be attached in front of a noun
PHONE_CUE = re.compile(
    rf"(?<![^\W\d_])(?:(?:{_TO}(?:هاتف|تلفون|تليفون|جوال|موبايل|نقال|رقم|ارقام|واتس|تواصل|اتصال)"
    r"|و?[ايتن]تصل|و?كلم)\w{0,4}|و?(?:دق|رن)(?:وا?|ي|يت|ينا|ت)?|ت|tel|telephone|phone|mobile|mob|call|contact|whatsapp|number|no|ragm[iy])"
    r"(?:\W{1,3}(?:رقم|علي|ع|لي|فيني|بي|بنا|هو|ال(?:بيت|منزل|مكتب|عمل|محل)|me|us|at|on|is|no|number))*\W{0,3}\Z",
    re.IGNORECASE,
)
# Behind a plural, a list: الطرق 3812 3814 3816.
PLACE_CUE = re.compile(
    r"(?:(?:مجمع|بلوك|طريق|شارع|مبني|بنايه|عماره|(?<![a-z])(?:block|blk|road|rd|street|st|avenue|building|bldg))"
    r"(?:\W{1,2}(?:رقم|no))?"
    r"|(?:مجمع(?:ات|ين|ي)|بلوكات|طرق|طريقين|شوارع|شارعين|(?<![a-z])(?:block|road|street)s)(?:\W{1,3}و?\d{2,4}){0,3})"
    r"\W{0,3}\Z",
    re.IGNORECASE,
)
YEAR = re.compile(r"(?:19|20)\d\d")
MONTH = re.compile(r"(?:0?[1-9]|1[0-2])[-/](?:19|20)\d\d")
DAY = re.compile(r"(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])(?:19|20)\d\d")
ROUND = re.compile(r"\d+0{5}")  # 36000000 people
UNIT_AFTER = re.compile(
    r"\s{0,2}(?:(?:دينار|دنانير|فلس|فلوس|د\.ب|ريال|درهم|دولار|ا?متار|متر|كيلو(?:متر|واط|وات)?|واط|وات|لتر|ليتر|نسمه)"
    r"(?:اً|ًا|ا|ات|ين)?(?![^\W\d_])|%|٪|(?:BD|BHD|USD|dinars?|fils|sqm|km|kwh|litres?|liters?|gallons?)(?![A-Za-z]))",
    re.IGNORECASE,
)
UNIT_BEFORE = re.compile(
    r"(?:(?<![A-Za-z])(?:BD|BHD|USD)|د\.ب|مبلغ|(?:قيم|تكلف|ميزاني)(?:ه|تها?)|قرا[ءي]ه (?:ال)?عداد)"
    r"\.?[\s:]{0,2}\Z",
    re.IGNORECASE,
)

# A cue, what may stand between ("رقم", "no.", a colon), and the number. Strong: the text says "number".
# A full stop ends the search, for what comes behind it is another matter.
_OF = r"(?:ي|ه|ها|نا|هم|ك|كم)?"  # and whose it is, behind it
_NUMBER_WORD = rf"(?:[بو]?رقم{_OF}|(?:ال)?مرقمه?|ذات الرقم|no\.?|number|num|nr|#|ra[gq]a?m)"
_SIGNS = r"\s:\-/#()="
_LINK = rf"(?:[{_SIGNS}]{{0,3}}(?:{_NUMBER_WORD}|هو|هي|is|was)(?![^\W\d])){{0,2}}[{_SIGNS}]{{0,4}}(?<![A-Za-z])"
_ENDS = r"(?![A-Za-z0-9_]|[.,]\d)"
_VALUE = rf"(?:[A-Za-z]{{1,4}}-?)?\d(?:[-/\\_]?\d){{2,19}}(?: ?[/\\] ?(?:19|20)\d\d)?{_ENDS}"
_PLATE = rf"(?!{_EIGHT_DIGITS}(?!\d))\d{{3}}{GAP}?\d{{0,3}}(?<=\d){_ENDS}"
# Nine digits however they are grouped, or the eight of somebody born after 1999 whose first one a spreadsheet dropped.
_NINE_DIGITS = rf"(?:\d(?:{GAP}?\d){{8}}|\d(?:0[1-9]|1[0-2])\d{{5}})(?!\d)"


# Any words between what a number is of and "number", unless they begin an address or a phone number.
_OTHER = (
    rf"(?!{_TO}(?:مجمع|بلوك|طريق|شارع|مبني|بنايه|عماره|بيت|منزل|شقه|فيلا|محل|باب|بوابه|كراج|موقف|دوار|محطه|هاتف|تلفون))"
    r"[^\W\d]{2,12}(?: (?:19|20)\d\d)?"
)


def _words(*alternatives: str) -> str:
    """Match up to three words that say more about a cue and stand between it and its number."""
    return rf"(?:\s{_TO}(?:{'|'.join(alternatives)})){{0,3}}"


_MINE = r"مال(?:ي|نا|ت[يه])|حق(?:ي|نا)|عند(?:ي|نا)?|خاص|بي|بنا|في|لدي|قديم|جديد"
_HOUSING = _words(
    _MINE,
    r"ا?سكان(?:يه?)?|سكن(?:يه?)?|وزاره|وحده|بيت|قسيمه|شقه|قرض|تمليك|من|(?:سنه|عام) (?:19|20)\d\d|(?:el )?[ei]skan",
)
_OWNER = _words(_MINE, r"محل(?:ي|نا)?|شرك(?:ه|تي|تنا)|مؤسس(?:ه|تي|تنا)|مطعم|فرع")
_PAYER = _words(_MINE, r"كهرب(?:ا[ءه]?)?|ماء|ماي|بنكي?|مشترك|ewa|هيئه")
_GROUPED = rf"\d{{4}}(?:{GAP}\d{{4}}){{2,4}}{_ENDS}"
_CAR = r"(?:سيار[هت]|مركب[هت]|موتر|شاحن[هت]|دراج[هت]|بيكب)"
_CUES = {
    "cpr": (
        rf"(?:{_TO}(?:رقم|نمره){_OF}\s(?:ال)?(?:شخصي|سكاني)(?:\s{_TO}[^\W\d]{{2,9}})?"
        rf"|{_TO}بطاق(?:ه|ت{_OF})(?:\s(?:ال)?(?:هويه|سكانيه?|ذكيه|شخصيه))?"
        rf"|{_TO}هوي(?:ه|ت{_OF})|c\.?p\.?r\.?|(?:national |personal )id)",
        _NINE_DIGITS,
    ),
    "cr": (
        rf"(?:{_TO}سجل\w{{0,3}}\s(?:ال)?تجاري{_OWNER}|س[. ]ت\.?|C\.?R\.?|commercial regist(?:er|ration)"
        rf"|(?P<named>{_TO}(?:سجل|قيد)))",
        _VALUE,
    ),
    "account": (
        # "my account with the bank of ... number": what is so far away is one only if it is longer than a phone's
        rf"(?:{_TO}حساب{_OF}(?:{_PAYER}|(?:\s{_OTHER}){{1,5}}(?=\s{_NUMBER_WORD}[\s:]{{1,2}}\d{{10}}))"
        rf"|account|acct\.?|acc\.?|a/c|(?P<named>{_TO}مشترك))",
        rf"(?:{_GROUPED}|{_VALUE})",
    ),
    "request": (
        rf"(?:{_TO}طلب{_OF}(?:{_HOUSING}|(?:\s{_OTHER}){{1,3}}(?=\s{_NUMBER_WORD}))"
        rf"|(?:[ae]l )?[6t]alab(?:i|y|na|ah)?{_HOUSING}|request|application"
        rf"|(?P<named>{_TO}(?:ملف{_OF}|معامل(?:ه|ت{_OF})|استمار(?:ه|ت{_OF})|قسيمه){_HOUSING}|(?:app|req)\.?|file))",
        _VALUE,
    ),
    "plate": (
        rf"(?:{_TO}لوح(?:ه|ت{_OF})(?:\s(?:ال)?(?:سيار|مرك|شاحن|دراج|باص|حافل)\w{{0,6}})?|{_TO}نمر(?:ه|ت{_OF})"
        rf"|[بو]?رقم\s(?:ال)?{_CAR}{_OF}"
        # "the car, a Yukon 2015, its number"
        rf"|{_TO}{_CAR}{_OF}(?:\s{_OTHER}){{0,3}}\s(?:{_NUMBER_WORD}|نمرتها|نمرته)"
        rf"|(?:number |licen[cs]e )?plate|(?:car|vehicle) (?:no\.?|number))",
        _PLATE,
    ),
}
CUED = {
    kind: re.compile(
        rf"(?<![^\W\d_])(?:(?P<strong>[وف]?(?:ب|ال)?رقم|رقمه|ra[gq]a?m)\s)?{cue}(?P<link>{_LINK})(?P<value>{value})",
        re.IGNORECASE,
    )
    for kind, (cue, value) in _CUES.items()
}
HOUSE = re.compile(
    rf"(?<![^\W\d_])(?:{_TO}(?:بيت{_OF}|منزل{_OF}|شقه|شقت{_OF}|فيلا|مبني|بنايه|عماره)"
    rf"|house|flat|villa|building|bldg|apartment|apt){_LINK}(?P<value>\d{{1,5}}[A-Za-z]?)(?![\w]|[.,/]\d)",
    re.IGNORECASE,
)
STRONG_LINK = re.compile(rf"{_NUMBER_WORD}|[:#]", re.IGNORECASE)
YEAR_AFTER = re.compile(r" ل?(?:سنه|عام) (?:19|20)\d\d")  # 3321 لسنة 2009
OF_A_YEAR = re.compile(r"\d{3,} ?[/\\] ?(?:19|20)\d\d|(?:19|20)\d\d[/\\]\d{3,}")
ACCOUNT_CUE = re.compile(r"(?:حساب\w{0,3}|ايبان|iban|account)\W{0,4}\Z", re.IGNORECASE)
