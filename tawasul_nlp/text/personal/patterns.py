r"""Patterns of personal data that are the same in every country, and the words around a number that say what it is.

All of them are for folded texts (:func:`tawasul_nlp.text.personal.mask.fold`): ه stands for ة, ا for أ and إ, ي for ى.
Those that end in ``\Z`` are matched against the text before a number.
"""

from __future__ import annotations

import re
from pathlib import Path

from tawasul_nlp import _yaml

_LISTS = "places things english cars buses vehicles impersonal not_names iban_lengths"
WORDS = _yaml.read(Path(__file__).with_name("words.yaml"), _yaml.record(dict.fromkeys(_LISTS.split(), _yaml.text)))

# What people put between the groups of a number.
BETWEEN = r"\- \n._/\\|·*~'"
GAP = rf"[{BETWEEN}]{{1,5}}+"
JOIN = rf"[{BETWEEN}]{{0,5}}+"
DIGIT = re.compile("[0-9]")
LATIN = re.compile(r"[A-Za-z]")

_ARABIC = "\u0620-\u064a\u066e-\u06d3\u06fa-\u06ff"  # its letters
_LATIN = rf"(?:[^\W{_ARABIC}]|-)++"
_LABEL = rf"(?:{_LATIN}|(?:[{_ARABIC}0-9]|-)++)"  # an Arabic word may touch a Latin address: foo@bar.comشكرا
_HOST = rf"\.?{_LABEL}(?:\.{{1,2}}{_LABEL})++"
_PROVIDER = "gmail|hotmail|yahoo|outlook|icloud|live"
_TOP = "com|net|org|bh|edu|gov|me|sa|ae|kw|qa|om|uk|in|co"
# Obfuscated: user(at)example(dot)com, user at example dot com.
_AT = r" ?[(\[{<\"'*«-] ?(?:@|at|a|ات) ?[)\]}>\"'*»-] ?"
_DOT_WORD = r" (?:dot|نقطه|دوت) "
_DOT = rf"(?: ?[(\[{{<*-] ?(?:\.|dot|نقطه|دوت) ?[)\]}}>*-] ?|{_DOT_WORD})"
EMAIL_SIGN = re.compile(rf"@|{_AT}|{_DOT}| (?:at|ات) ", re.IGNORECASE)
EMAIL = re.compile(
    rf"(?:(?<![^\W{_ARABIC}])(?<![.%+-])(?<!\w')(?:[^\W{_ARABIC}]|[.%+-]|(?<=\w)'(?=\w))++|(?<![\w.%+-])(?:[{_ARABIC}0-9_]|[.%+-])++)"
    rf"(?:@{{1,2}}{_HOST}"
    # At the most common providers, also with spaces around the sign or without the ending.
    rf"| ?@ ?(?:{_PROVIDER}) ?[.,، ] ?(?:com|net|org)(?![A-Za-z0-9])"
    rf"|(?:@|{_AT})(?:{_PROVIDER})(?![A-Za-z0-9])"
    rf"|@{_LABEL}[,،](?:{_TOP})(?![A-Za-z0-9])"
    rf"|[ \n]?@[ \n]?[A-Za-z0-9-]++(?:[ \n]?\.[ \n]?[A-Za-z0-9-]++){{0,3}}?"
    rf"[ \n]?\.[ \n]?(?:{_TOP})(?![A-Za-z0-9]|\.[A-Za-z])"
    rf"|{_AT}{_LABEL}(?:(?:\.|{_DOT}){_LABEL})++"
    rf"| ?@ ?{_LABEL}(?:{_DOT}{_LABEL})++)"
    # All in words: "sara dot t at example dot com"; "at" alone may not be an address ("we met at example.com").
    rf"|(?<![\w.%+-])[\w.%+-]++(?:{_DOT_WORD}[\w.%+-]++){{0,3}}+ (?:at|ات) "
    rf"{_LABEL}(?:\.{_LABEL})*+(?:{_DOT}{_LABEL})++(?! (?:at|ات) )"
    rf"|(?<![\w.%+-])(?P<bare>[\w.%+-]++) (?:(?P<at>at)|ات) "
    rf"[A-Za-z0-9-]++(?:\.[A-Za-z0-9-]++)*\.(?:{_TOP})(?![A-Za-z0-9])",
    re.IGNORECASE,
)
# Tried at every word, also inside a match from the word before: "no 12 BH67...".
IBAN = re.compile(
    rf"(?:(?<![A-Za-z0-9])|(?<=iban))(?=([A-Za-z]{JOIN}[A-Za-z]{JOIN}\d{JOIN}\d(?:(?:{GAP}|,)?[A-Za-z0-9]){{11,30}}))",
    re.IGNORECASE,
)
# Its length by country.
IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in WORDS["iban_lengths"].split()}

# Letters may touch a number, and signs that join it to nothing or to another complete number (39001234/36001234); if
# they join it to other digits, it is part of a decimal or a longer code, except for an item number (1-39001234) and
# the ".0" that a spreadsheet adds.
BEFORE = r"(?<!\d)(?:(?<!\d[.,/_-])|(?<=\d{8}[.,/_-])|(?<=\d{4}[ .-]\d{4}[.,/_-])|(?<=\s\d[./-])|(?<=^\d[./-]))"
AFTER = r"(?!\d|[.,/_-](?=\d)(?!0(?!\d))(?!\d{4}[ .-]?\d{4})(?<![/_-](?=\d(?!\d))))"
STANDS_ALONE = re.compile(BEFORE), re.compile(AFTER)
SPREADSHEET = r"(?:\.0(?!\d))?"

AROUND = rf"[{BETWEEN}()]{{0,5}}+"
TRUNK = rf"(?:{AROUND}0(?=[{BETWEEN})]))?"  # +973 (0) 39001234
# Foreign numbers in national format: only after a cue for a phone number.
NUMBER_AT_HOME = re.compile(r"(?<![\w+.,/-])(?:0[17]\d(?:[ -]?\d){8}|[6-9]\d{9})(?![\w]|[.,/-]\d)")
MOBILE_AT_HOME = re.compile(r"(?<![\w.,/-])05\d{8}(?![\w]|[.,/-]\d)")
# Tried at every number: thirteen digits or more, with the prefixes and lengths that the networks use.
CARD = re.compile(rf"(?<!\d)(?<!\d[.,])(?=([2-6](?:{JOIN}\d){{12,19}}))")
CARD_NUMBER = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5\d|2[2-7]|35)\d{14}|3[47]\d{13}|3[0689]\d{12}|6(?:[02457]\d\d|304|390)\d{12,15}"
)
CARD_LENGTHS = (16, 15, 14, 19, 18, 17, 13)

# The form in most countries; other kinds of numbers seldom have it.
PASSPORT = re.compile(r"(?<![\w/.-])[A-Z]{1,2}\d{7}(?![\w/-]|\.\d)")
TIME = re.compile(r"(?:[01]\d|2[0-3])(?:00|15|30|45)")
YEAR = re.compile(r"(?:19|20)\d\d")
RECENT = re.compile(r"(?:19[3-9]|20[0-3])\d")
MONTH = re.compile(r"(?:0?[1-9]|1[0-2])[-/](?:19|20)\d\d")
HIJRI_DAY = re.compile(r"(?:0[1-9]|[12]\d|30)(?:0[1-9]|1[0-2])1[34]\d\d")
DAY = re.compile(r"(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])(?:19|20)\d\d")
ROUND = re.compile(r"\d+0{5}")  # 36000000 people
OF_A_YEAR = re.compile(r"\d{3,} ?[/\\] ?(?:19|20)\d\d|(?:19|20)\d\d[/\\]\d{3,}")


def any_of(*alternatives: str) -> str:
    """Return a pattern that matches any of the given patterns.

    Examples
    --------
    >>> any_of("phone", "mobile")
    '(?:phone|mobile)'
    """
    return f"(?:{'|'.join(alternatives)})"


def any_of_words(words: str) -> str:
    """Return a pattern that matches any of the given space-separated words."""
    return any_of(*words.split())


def listed(name: str) -> str:
    """Return a pattern that matches any word of a list in ``words.yaml``."""
    return any_of_words(WORDS[name])


#: Particles before a noun, and possessive endings after it.
TO = r"(?:[وف]?(?:ال|بال|لل|عال|[بل])?)"
OF = r"(?:ي|ه|ها|نا|هم|ك|كم|ج)?"
_STARTS = r"(?<![^\W\d_])"  # a word starts here

_PHONES = any_of("هاتف", "تلفون", "تليفون", "جوال", "موبايل", "نقال", "واتس")
PHONE_WORD = re.compile(rf"{_PHONES}|phone|mobile|whatsapp|(?<![a-z])(?:tel|mob)(?![a-z])", re.IGNORECASE)
_PEOPLE = (
    "خدام|شغال|سايق|سواق|حارس|زوج|ولد|بنت|والد|جار|مندوب|موظف|مدير|عامل|بيت|منزل|مكتب|محل|طوار|[او]?ام[ي ]|[او]?خ[وت]"
)
PHONE_NEARBY = re.compile(
    rf"{_PHONES}|رقم(?:ي|ه|ها|نا)|اتصل|كلمو|دقوا?|تواصل|فاكس|ارضي|مكالم|اتصال"
    rf"|رقم (?:ال)?(?:{_PEOPLE})"
    r"|phone|mobile|whatsapp|call|contact|reach|landline|(?<![a-z])(?:tele?|ph|mob|fax|ring|text me)"
    r"|(?<![a-z])(?:ra[gqk8]mi|t7taj|ka?lm[io]|da?e?go+ )",
    re.IGNORECASE,
)
PHONE_CUE = re.compile(
    _STARTS
    + any_of(
        rf"{TO}(?:{_PHONES}|رقم|ارقام|تواصل|اتصال)\w{{0,4}}",
        r"(?:و?[ايتن]تصل|و?كلم)\w{0,4}",
        r"و?(?:دق|رن)(?:وا?|ي|يت|ينا|ت)?",
        r"ت|tel|telephone|phone|cell|landline|home|office|mobile|mob|call|contact|whatsapp|number|no|ra[gqk8]a?m(?:[iy]|ha)?",
    )
    + r"(?:\W{1,3}(?:رقم|علي|ع|لي|فيني|بي|بنا|هو|ال(?:بيت|منزل|مكتب|عمل|محل)|me|us|at|on|is|no|number))*\W{0,3}\Z",
    re.IGNORECASE,
)
TOWARDS = re.compile(_STARTS + r"(?:علي|عبر|at|via)\s\Z", re.IGNORECASE)
EMAIL_CUE = re.compile(
    r"(?:ايميل|بريد|راسل|اكتب|ارسل|تواصل|e-?mail|mail|contact|write|reach|reply|send)\w{0,3}(?:\W{1,3}\w{1,12}){0,2}\W{0,3}\Z",
    re.IGNORECASE,
)
ACCOUNT_CUE = re.compile(r"(?:حساب\w{0,3}|ايبان\w{0,3}|iban|account)(?:\s\w{1,12}){0,3}\W{0,4}\Z", re.IGNORECASE)
CARD_CUE = re.compile(
    any_of(
        r"(?<![A-Za-z])(?:visa|master ?card|card|amex|debit|credit|maestro|pan|be?[6t]a[qg]\w{1,3})",
        r"فيزا|ماستر ?كارد|كارت|صراف|ائتمان\w*",
        r"بطاق[هت]\w{0,2}(?: ال\w+){0,2}",
    )
    + r"(?:\W{1,3}(?:رقم\w?|number|no|num|هو|is))*\W{0,3}\Z",
    re.IGNORECASE,
)
# After a plural, a list: الطرق 3812 3814 3816.
PLACE_CUE = re.compile(
    any_of(
        r"(?:مجمع|بلوك|طريق|شارع|مبني|بنايه|عماره|(?<![a-z0-9])(?:block|blk|road|rd|street|st|avenue|building|bldg))"
        r"(?:\W{1,2}(?:رقم|no))?",
        r"(?:مجمع(?:ات|ين|ي)|بلوكات|طرق|طريقين|شوارع|شارعين|(?<![a-z])(?:block|road|street)s)(?:\W{1,3}و?\d{2,4}){0,3}",
    )
    + r"\W{0,3}\Z",
    re.IGNORECASE,
)
OTHER_CUE = re.compile(
    _STARTS
    + any_of(
        rf"{TO}{listed('impersonal')}(?:ي|نا|ه|ها|هم|ك)?",
        r"(?:meter|invoice|bill|receipt|tracking|order|serial|contract|flight|violation|model|code|sku|po|error)s?",
        r"page|ip|reading|(?:prev|curr)\.? rdg?",
    )
    + r"(?: (?:ال)?(?:سابق|حالي|قديم|جديد|مرجعي|تسلسلي|كهرباء?|ماء|رقمي?|id|reading))?[هي]?"
    r"(?:\W{1,3}(?:رقمه?ا?|no|num|number|nr|هو|هي|is))*[\s:\-/#().=]{0,4}\Z",
    re.IGNORECASE,
)
YEAR_AFTER = re.compile(r" ل?(?:سنه|عام) (?:19|20)\d\d")  # 3321 لسنة 2009
