"""The words that say what a number is, and the numbers that are personal only behind one.

All patterns are for folded texts (:mod:`tawasul_nlp.text.folding`).
"""

from __future__ import annotations

import re

from .personal_patterns import EIGHT_DIGITS, GAP, JOIN, PHONE_START, SPREADSHEET

CARD_CUE = re.compile(
    r"(?:(?<![A-Za-z])(?:visa|master ?card|card|amex|debit|credit)|فيزا|ماستر ?كارد|كارت|بطاق[هت]\w{0,2}(?: ال\w+){0,2}|صراف|ائتمان\w*)"
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
    rf"(?<![^\W\d_])(?:{_TO}(?:عداد|فاتور[هت]|فواتير|تذكر[هت]|ايصال|وصل|قضي[هت]|دعو[يت]|مخالف[هت]|رحل[هت]|شحن[هت]|طرد|طلبي[هت]"
    r"|عقد|موديل|باركود|كود|رمز|مرجعي|تسلسلي|عملي[هت]|حوال[هت]|صنف|بوليص[هت]|صفح[هت]|صفحات|قطع[هت])(?:ي|نا|ه|ها|هم|ك)?"
    r"|(?:meter|invoice|bill|receipt|tracking|order|serial|contract|flight|violation|model|code|sku|po|error|page|ip|reading"
    r"|(?:prev|curr)\.? rdg?)s?)"
    r"(?: (?:ال)?(?:سابق|حالي|قديم|جديد|مرجعي|تسلسلي|كهرباء?|ماء|رقمي?|id|reading))?[هي]?"
    r"(?:\W{1,3}(?:رقمه?ا?|no|num|number|nr|هو|هي|is))*[\s:\-/#().=]{0,4}\Z",
    re.IGNORECASE,
)
EMAIL_CUE = re.compile(r"(?:ايميل|بريد|e-?mail|mail)\w{0,3}(?:\W{1,3}\w{1,12}){0,2}\W{0,3}\Z", re.IGNORECASE)
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
_NUMBER_WORD = rf"(?:[بو]?رقم{_OF}|(?:ال)?مرقمه?|ذات الرقم|no\.?|number|num|nr|id|#|ra[gqk8]a?m)"
_ITS_NUMBER = r"(?:ب?رقمه?ا?|no\.?|number)"
_SIGNS = r"\s:\-/#()=*\"'«»\[\]"
_LINK = rf"(?:[{_SIGNS}]{{0,3}}(?:{_NUMBER_WORD}|هو|هي|is|was)(?![^\W\d])){{0,2}}[{_SIGNS}]{{0,4}}(?<![A-Za-z])"
_ENDS = r"(?![A-Za-z0-9_]|[.,]\d)"
# Digits with letters among them (REQ-2024/0012, 45/HS/1), and a year behind a slash.
_VALUE = (
    rf"(?:\d{{1,5}} ?/ ?\d{{3,5}}(?!\d)|[A-Za-z]{{0,5}}[-/]?(?=(?:[-/\\_A-Za-z]{{0,4}}\d){{3}})\d[A-Za-z0-9]*+(?:[-/\\_][A-Za-z0-9]++)*+)"
    rf"(?: ?[/\\] ?(?:19|20)\d\d)?{_ENDS}"
)
_PLATE = rf"(?!{EIGHT_DIGITS}(?!\d))\d{{3}}(?:[ -]?\d{{1,3}})?{_ENDS}"
# Nine digits however they are grouped, or those of somebody born after 1999 whose first one or two a spreadsheet dropped.
_NINE_DIGITS = rf"(?:\d{{9}}|\d(?:{JOIN}\d){{8}}|\d(?:0[1-9]|1[0-2])\d{{5}}|1[0-2]\d{{5}})(?!\d){SPREADSHEET}"
_PASSPORT = rf"(?:[A-Za-z]{{1,3}}{JOIN})?\d(?:{JOIN}\d|[A-Za-z](?=\d)){{4,9}}[A-Za-z]?(?![A-Za-z0-9])"


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
_PAYER = _words(_MINE, r"جاري|توفير|مصرفي?|استثماري|كهرب(?:ا[ءه]?)?|ماء|ماي|بنكي?|مشترك|ewa|هيئه")
_GROUPED = rf"(?:\d{{4}}(?:{GAP}\d{{4}}){{2,4}}|\d{{2,4}}(?:[ .]\d{{3,6}}){{1,3}}){_ENDS}"
_CAR = r"(?:سيار[هت]|مركب[هت]|موتر|شاحن[هت]|دراج[هت]|بيكب|مقطور[هت]|صهريج|تريل[هت]|جيب|فان|sayy?ara|mooter)"
_CUES = {
    "cpr": (
        rf"(?:{_TO}(?:رقم|نمره){_OF}\s(?:ال)?(?:شخصي|سكاني)(?:\s{_TO}[^\W\d]{{2,9}})?"
        rf"|{_TO}بطاق(?:ه|ت{_OF})(?:\s(?:ال)?(?:هويه|سكانيه?|ذكيه|شخصيه))?"
        rf"|{_TO}سجل\s(?:ال)?سكاني|{_TO}هوي(?:ه|ت{_OF})|c\.?p\.?r\.?|(?:national |personal )id)",
        _NINE_DIGITS,
    ),
    "cr": (
        rf"(?:{_TO}سجل\w{{0,3}}\s(?:ال)?تجاري{_OWNER}|س[. ]ت\.?|C\.?R\.?(?:\s[a-z]{{2,8}}(?=[:#]))?|commercial regist(?:er|ration)"
        rf"|(?P<named>{_TO}(?:سجل|قيد)))",
        rf"(?:\d{{3,6}} ?[-/] ?\d{{1,2}}{_ENDS}|{_VALUE})",
    ),
    "account": (
        # "my account with the bank of ... number": what is so far away is one only if it is not a phone's
        rf"(?:{_TO}حساب{_OF}(?:{_PAYER}|(?:\s{_OTHER}){{1,5}}(?=\s{_ITS_NUMBER}[\s:]{{1,2}}(?!{PHONE_START}\d{{8}}(?!\d))\d{{5}}))"
        rf"|account|acct\.?|acc\.?|a/c|(?P<named>{_TO}(?:مشترك|اشتراك|عميل|زبون){_OF}|customer|consumer|subscriber))",
        rf"(?:{_GROUPED}|{_VALUE})",
    ),
    "request": (
        rf"(?:{_TO}طلب{_OF}(?:{_HOUSING}|(?:\s{_OTHER}){{1,3}}(?=\s{_NUMBER_WORD}))"
        rf"|(?:[ae]l )?[6t]alab(?:i|y|na|ah)?{_HOUSING}|request|application"
        rf"|(?:our |my |your )?ref(?:erence)?\.?"
        rf"|(?P<named>{_TO}(?:شكو[يت]{_OF}|شكوا(?:ي|ه|ها|نا)|بلاغ{_OF}|تذكر(?:ه|ت{_OF})|مرجع|تظلم{_OF}|متابعه|حاله|احاله)(?:\s(?:ال)?(?:مرجعي|سابقه?|قديمه?|جديده?|اولي?))?"
        rf"|complaint|ticket|case|s\.?r\.?|(?:el |al )?(?:shakwa|balagh)|{_TO}(?:ملف{_OF}|معامل(?:ه|ت{_OF})|استمار(?:ه|ت{_OF})|قسيمه){_HOUSING}|(?:app|req)\.?|file))",
        _VALUE,
    ),
    "plate": (
        rf"(?:{_TO}لوح(?:ه|ت{_OF})(?:\s(?:ال)?(?:{_CAR}|باص|حافل[هت]|تاكسي|تكسي){_OF})?(?:\s(?:{_MINE}))?|{_TO}نمر(?:ه|ت{_OF})(?:\s(?:ال)?{_CAR}{_OF})?"
        # "the car, a Yukon 2015, its number": three digits alone are a taxi's or a bus's
        rf"|(?P<car>[بو]?رقم\s(?:ال)?{_CAR}{_OF}|(?:el |al )?{_CAR}(?=\s{_NUMBER_WORD})"
        rf"|{_TO}{_CAR}{_OF}(?:\s{_OTHER}){{0,3}}\s(?:{_NUMBER_WORD}|نمرتها|نمرته)|(?:car|vehicle) (?:reg(?:istration)?|no\.?|number))"
        rf"|(?P<described>{_TO}{_CAR}{_OF}(?:\s{_OTHER}){{0,3}}(?=\s\d{{5,6}}(?!\d))|(?:car|vehicle)(?=\s\d{{5,6}}(?!\d)))"
        rf"|(?:number |licen[cs]e )?plates?(?:\s(?:{_MINE}))?)",
        _PLATE,
    ),
    "passport": (
        rf"(?:{_TO}(?:جواز(?:ات)?|باسبورت?|بسبور){_OF}"
        # "my travel passport", and whose or which it is; with such words a number must have a letter or "number" before it
        rf"(?:\sال?سفر{_OF})?(?P<words>(?:\s{_OTHER}){{1,4}}?)??|(?:passports?|p\.?p\.?t?\.?(?=\s?(?:no|num|#|:|[a-z]{{1,2}}\d)))(?P<more>(?:\s[a-z]{{2,10}}){{1,3}})??|jawaz\w{{0,2}})",
        _PASSPORT,
    ),
}
CUED = {
    kind: re.compile(
        rf"(?<![^\W\d_])(?:(?P<strong>[وف]?(?:ب|ال)?رقم|رقمه|ra[gqk8]a?m)\s(?:el |al )?)?{cue}(?(strong)(?:\s{_OTHER}){{0,2}}?)(?P<link>{_LINK})(?P<value>{value})",
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
ACCOUNT_CUE = re.compile(r"(?:حساب\w{0,3}|ايبان\w{0,3}|iban|account)(?:\s\w{1,12}){0,3}\W{0,4}\Z", re.IGNORECASE)
PHONE_WORD = re.compile(r"هاتف|تل[ي]?فون|جوال|موبايل|نقال|واتس|phone|mobile|whatsapp|(?<![a-z])(?:tel|mob)(?![a-z])", re.IGNORECASE)
