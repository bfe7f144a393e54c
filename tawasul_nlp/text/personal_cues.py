r"""Words before and after a number that say what it is.

All patterns are for folded texts (:mod:`tawasul_nlp.text.folding`): ه stands for ة, ا for أ and إ, ي for ى. Those that
end in ``\Z`` are matched against the text before a number.
"""

from __future__ import annotations

import re


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
_THINGS = any_of_words(
    "عداد فاتور[هت] فواتير تذكر[هت] ايصال وصل قضي[هت] دعو[يت] مخالف[هت] رحل[هت] شحن[هت] طرد طلبي[هت] عقد موديل باركود "
    "كود رمز مرجعي تسلسلي عملي[هت] حوال[هت] صنف بوليص[هت] صفح[هت] صفحات قطع[هت]"
)
# Things with impersonal numbers: 36001234 after one is not a phone.
OTHER_CUE = re.compile(
    _STARTS
    + any_of(
        rf"{TO}{_THINGS}(?:ي|نا|ه|ها|هم|ك)?",
        r"(?:meter|invoice|bill|receipt|tracking|order|serial|contract|flight|violation|model|code|sku|po|error)s?",
        r"page|ip|reading|(?:prev|curr)\.? rdg?",
    )
    + r"(?: (?:ال)?(?:سابق|حالي|قديم|جديد|مرجعي|تسلسلي|كهرباء?|ماء|رقمي?|id|reading))?[هي]?"
    r"(?:\W{1,3}(?:رقمه?ا?|no|num|number|nr|هو|هي|is))*[\s:\-/#().=]{0,4}\Z",
    re.IGNORECASE,
)
YEAR_AFTER = re.compile(r" ل?(?:سنه|عام) (?:19|20)\d\d")  # 3321 لسنة 2009
