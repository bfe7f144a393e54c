"""What personal data looks like: patterns, and the words that say what a number is.

All of them are for folded texts (:mod:`tawasul_nlp.text.folding`).
"""

from __future__ import annotations

import re

# What people put between the groups of a number.
_BETWEEN = r"\- \n._/\\|·"
GAP = rf"[{_BETWEEN}]{{1,3}}+"
_JOIN = rf"[{_BETWEEN}]{{0,3}}+"
DIGIT = re.compile("[0-9]")
LATIN = re.compile(r"[A-Za-z]")

_ARABIC = "\u0600-\u06ff"
_HOST = rf"(?:[^\W{_ARABIC}]|-)++(?:\.(?:[^\W{_ARABIC}]|-)++)++|(?:[{_ARABIC}0-9]|-)++(?:\.[{_ARABIC}0-9-]++)++"
_PROVIDER = "gmail|hotmail|yahoo|outlook|icloud|live"
_TOP = "com|net|org|bh|edu|gov|me|sa|ae|kw|qa|om|uk|in|co"
# Written so that no machine reads it: user(at)example(dot)com, user at example dot com.
_AT = r" ?[(\[{<] ?(?:@|at|[اa]ت) ?[)\]}>] ?"
_DOT = r"(?: ?[(\[{<] ?(?:\.|dot|نقطه|دوت) ?[)\]}>] ?| (?:dot|نقطه|دوت) )"
EMAIL_SIGN = re.compile(rf"@|{_AT}|{_DOT}", re.IGNORECASE)
EMAIL = re.compile(
    # An Arabic word may touch a Latin address, and is an address only before an "@" that touches it.
    rf"(?:(?<![^\W{_ARABIC}])(?<![.%+-])(?:[^\W{_ARABIC}]|[.%+-])++|(?<![\w.%+-])(?:[{_ARABIC}0-9_]|[.%+-])++)"
    rf"(?:@(?:{_HOST})"
    # Of the providers that most people are with, also with spaces around the sign or without the end.
    rf"| ?@ ?(?:{_PROVIDER}) ?[.,] ?(?:com|net|org)(?![A-Za-z0-9])"
    rf"|@(?:{_PROVIDER})(?![A-Za-z0-9])"
    rf"| ?@ ?[A-Za-z0-9-]++ ?\. ?(?:{_TOP})(?![A-Za-z0-9])"
    rf"|(?:{_AT})[\w-]++(?:(?:\.|{_DOT})[\w-]++)++"
    rf"| (?:at|ات) [\w-]++(?:{_DOT}[\w-]++)++"
    rf"|@[\w-]++(?:{_DOT}[\w-]++)++)",
    re.IGNORECASE,
)
# Looked for at every word, also inside what looks like one from the word before: "no 12 BH67...".
IBAN = re.compile(
    rf"(?:(?<![A-Za-z0-9])|(?<=iban))(?=([A-Za-z]{{2}}{_JOIN}\d{_JOIN}\d(?:(?:{GAP}|,)?[A-Za-z0-9]){{11,30}}))",
    re.IGNORECASE,
)
# The shape of a Bahraini one, its check digits not asked.
BAHRAINI_IBAN = re.compile(
    rf"BH(?:{_JOIN}\d){{2}}(?:{_JOIN}[A-Z]){{4}}(?:(?:{GAP}|,)?[A-Z0-9]){{14}}(?![A-Za-z0-9])", re.IGNORECASE
)
# How long it is, country by country: those around, and those where people here come from or hold accounts.
_IBANS = (
    "BH22 SA24 AE23 KW30 QA29 OM23 YE30 IQ23 JO30 LB28 PS29 EG29 SD18 LY25 TN24 TR26 PK24 CY28 "
    "GB22 IE22 DE22 FR27 IT27 ES24 PT25 NL18 BE16 CH21 AT20 SE24 NO15 DK18 GR27"
)
IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in _IBANS.split()}

# Letters may touch a number, and signs that join it to nothing or to another whole number (39001234/36001234); what
# they join to other digits is part of a decimal or a longer code, but for the number of an item (1-39001234) and for
# the ".0" that a spreadsheet adds.
_BEFORE = (
    r"(?<!\d)(?:(?<!\d[.,/_-])|(?<=\d{8}[.,/_-])|(?<=\d{4}[ .-]\d{4}[.,/_-])|(?<=\s\d[.-])|(?<=^\d[.-]))"
)
_AFTER = r"(?!\d|[.,/_-](?=\d)(?!0(?!\d))(?!\d{4}[ .-]?\d{4}))"
STANDS_ALONE = re.compile(_BEFORE), re.compile(_AFTER)
_SPREADSHEET = r"(?:\.0(?!\d))?"

# The groups of a CPR, where no word says what it is: year and month of birth, four digits, one more.
CPR = re.compile(rf"{_BEFORE}\d\d{_JOIN}(?:0{_JOIN}[1-9]|1{_JOIN}[0-2])(?:{_JOIN}\d){{5}}{_AFTER}{_SPREADSHEET}")
CPR_GROUPS = frozenset({(9,), (4, 5), (5, 4), (6, 3), (3, 3, 3), (2, 2, 5), (2, 2, 2, 3), (2, 2, 3, 2), (2, 2, 4, 1)})

_PHONE_START = rf"(?=3|6{_JOIN}[36]|1{_JOIN}[367]|7{_JOIN}7)"
_EIGHT_DIGITS = rf"\d(?:{_JOIN}\d){{7}}"
_AROUND = rf"[{_BETWEEN}()]{{0,3}}+"
# How many digits follow a country's code, for those around and those where people here come from.
_ABROAD = "|".join(
    rf"(?:{codes})(?:{_AROUND}\d){{{digits}}}(?!\d)"
    for codes, digits in (("966|971", 9), ("965|968|974", 8), ("1|20|44|63|880|9[0128]", 10), ("977|9[34]", "9,10"))
)
PREFIXED_PHONE = re.compile(
    rf"(?:[+(]{{1,2}}+ ?|(?<!\d)0{_AROUND}0{_AROUND})9{_AROUND}7{_AROUND}3(?:{_AROUND}\d){{8}}(?!\d){_SPREADSHEET}"
    rf"|{_BEFORE}973{_AROUND}{_PHONE_START}{_EIGHT_DIGITS}{_AFTER}{_SPREADSHEET}"
    # Of other countries, by the plus or by two zeros.
    rf"|(?:\+{_AROUND}|(?<!\d)00{_AROUND})(?:{_ABROAD})"
    rf"|\+{_AROUND}(?!973)[1-9](?:{_AROUND}\d){{8,12}}(?!\d)"
    rf"|(?<![\w.-])00[1-9]\d{{9,12}}(?!\d)"
)
# With a comma only where a word calls for a phone number.
PHONE = re.compile(rf"(?<!\d){_PHONE_START}\d(?:(?:{GAP}|,(?! ))?\d){{7}}(?!\d)(?:\.0(?!\d))?")
# How people group the digits of a phone number. Other groups may be a list of small numbers.
PHONE_GROUPS = frozenset({(8,), (4, 4), (2, 6), (2, 3, 3), (3, 5), (3, 3, 2), (5, 3), (6, 2)})
# Behind a word that calls for a phone number: of neighbours without a plus, and Saudi and Emirati mobiles at home.
FOREIGN_PHONE = re.compile(
    rf"(?<![\d+])(?:(?:9665|9715|965[569]|968[79]|974[3567])(?:{_JOIN}\d){{7}}\d?|05\d(?:{_JOIN}\d){{7}})(?!\d)"
)
# Looked for at every number: thirteen digits or more, and which beginnings and lengths the networks use.
CARD = re.compile(rf"(?<!\d)(?<!\d[.,])(?=([2-6](?:{_JOIN}\d){{12,22}}))")
CARD_NUMBER = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5\d|2[2-7]|35)\d{14}|3[47]\d{13}|3[0689]\d{12}|6[02457]\d{14,17}"
)
CARD_LENGTHS = (16, 15, 14, 19, 18, 17, 13)
CARD_CUE = re.compile(
    r"(?:(?<![A-Za-z])(?:visa|master ?card|card|amex|debit|credit)|فيزا|ماستر ?كارد|كارت|بطاق[هت]\w{0,2}(?: ال\w+)?|صراف|ائتمان\w*)"
    r"(?:\W{1,3}(?:رقم\w?|number|no|num|هو|is))*\W{0,3}\Z",
    re.IGNORECASE,
)

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
# What has a number that is no person's: 36001234 behind it is not a phone.
OTHER_CUE = re.compile(
    rf"(?<![^\W\d_])(?:{_TO}(?:عداد|فاتور[هت]|فواتير|بلاغ|شكو[يت]|شكاو[يه]|تذكر[هت]|ايصال|وصل|قضي[هت]|دعو[يت]|مخالف[هت]"
    r"|رحل[هت]|شحن[هت]|طرد|طلبي[هت]|عقد|موديل|باركود|كود|رمز|مرجع|مرجعي|تسلسلي|عملي[هت]|حوال[هت]|صنف|بوليص[هت])(?:ي|نا|ه|ها|هم|ك)?"
    r"|(?:meter|invoice|bill|receipt|ticket|complaint|case|ref|reference|tracking|order|serial|contract|flight|violation|model|code)s?)"
    r"(?: (?:ال)?(?:سابق|حالي|قديم|جديد|مرجعي|تسلسلي|كهرباء?|ماء|رقمي?|id|reading))?[هي]?"
    r"(?:\W{1,3}(?:رقمه?ا?|no|num|number|nr|هو|هي|is))*[\s:\-/#().=]{0,4}\Z",
    re.IGNORECASE,
)
YEAR = re.compile(r"(?:19|20)\d\d")
MONTH = re.compile(r"(?:0?[1-9]|1[0-2])[-/](?:19|20)\d\d")
HIJRI_DAY = re.compile(r"(?:0[1-9]|[12]\d|30)(?:0[1-9]|1[0-2])1[34]\d\d")
DAY = re.compile(r"(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])(?:19|20)\d\d")
ROUND = re.compile(r"\d+0{5}")  # 36000000 people
UNIT_AFTER = re.compile(
    r"\s{0,2}(?:(?:دينار|دنانير|فلس|فلوس|د\.ب|ريال|درهم|دولار|ا?متار|متر|كيلو(?:متر|واط|وات)?|واط|وات|لتر|ليتر|نسمه)"
    r"(?:ا|ات|ين)?(?![^\W\d_])|%|٪|(?:BD|BHD|USD|dinars?|fils|sqm|km|kwh|litres?|liters?|gallons?)(?![A-Za-z]))",
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
_SIGNS = r"\s:\-/#()=*\"'«»\[\]"
_LINK = rf"(?:[{_SIGNS}]{{0,3}}(?:{_NUMBER_WORD}|هو|هي|is|was)(?![^\W\d])){{0,2}}[{_SIGNS}]{{0,4}}(?<![A-Za-z])"
_ENDS = r"(?![A-Za-z0-9_]|[.,]\d)"
_VALUE = rf"(?:[A-Za-z]{{1,4}}-?)?\d(?:[-/\\_]?\d){{2,19}}(?: ?[/\\] ?(?:19|20)\d\d)?{_ENDS}"
_PLATE = rf"(?!{_EIGHT_DIGITS}(?!\d))\d{{3}}(?:[ -]?\d{{1,3}})?{_ENDS}"
# Nine digits however they are grouped, or the eight of somebody born after 1999 whose first one a spreadsheet dropped.
_NINE_DIGITS = rf"(?:\d(?:{_JOIN}\d){{8}}|\d(?:0[1-9]|1[0-2])\d{{5}})(?!\d){_SPREADSHEET}"
_PASSPORT = rf"(?:[A-Za-z]{{1,3}}{_JOIN})?\d(?:{_JOIN}\d){{4,8}}[A-Za-z]?(?![A-Za-z0-9])"


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
    "passport": (
        rf"(?:{_TO}(?:جواز(?:ات)?|باسبور){_OF}"
        # "my travel passport", "his Indian passport", or any words and then "number"
        rf"(?:(?:\s(?:ال)?سفر{_OF})?(?:\s(?:ال)?[^\W\d]{{2,9}}[يه])?|(?:\s{_OTHER}){{1,4}}(?=\s{_NUMBER_WORD}))"
        r"|passports?(?:\s[a-z]{2,10}){0,2})",
        _PASSPORT,
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
