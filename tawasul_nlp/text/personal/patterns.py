"""Patterns of personal data that are the same in every country.

All of them are for folded texts (:mod:`tawasul_nlp.text.folding`).
"""

from __future__ import annotations

import re

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
# Its length by country, from the registry of ISO 13616.
_IBANS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 "
    "FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 "
    "LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 "
    "SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
)
IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in _IBANS.split()}

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
