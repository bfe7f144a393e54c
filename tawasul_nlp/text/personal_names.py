"""Find names of persons after words that introduce one, without a list of names.

Up to four words after such a word are taken for a name unless one of them is a function word or describes a person.
Patterns are for folded texts (:mod:`tawasul_nlp.text.folding`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# A name follows, whatever comes after it.
_FORM = re.compile(
    r"(?<![^\W\d_])(?:الاسم(?: الكامل| الثلاثي| الرباعي)? ?:|المدعوه?|my name is|(?:full )?name ?:|esmi)\s",
    re.IGNORECASE,
)
# A name follows if a sign or a function word comes after it.
_NAMED = re.compile(r"(?<![^\W\d_])و?(?:اسمي|اسمه|اسمها)\s")
# The same, if it has at least two words.
_TITLE = re.compile(
    r"(?<![^\W\d_])(?:[ولب]?لسيده?|[وب]?السيده?|الشاكيه?|المرسل ?:|مقدم الطلب ?:|الموقع ادناه"
    r"|mr\.?|mrs\.?|ms\.?|(?:cust(?:omer)?|reporter|caller|sender) ?:|cust)\s",
    re.IGNORECASE,
)
# A name follows if it has at least two words and a sign after it.
_PERHAPS = re.compile(r"(?<![^\W\d_])(?:انا|[وب]?المواطنه?|ana|i'?m|i am|i,)\s", re.IGNORECASE)
_WORD = re.compile(r" ?((?:[^\W\d_]|['’-](?=\w))+)")
_SIGN = re.compile(r" ?(?:[،,;؛:(/|\n.]|\Z)")
_MOST_WORDS = 4
# Function words, and words by which people describe themselves.
_GRAMMAR = """
من في عن الي مع ما لا لم لن كل هذا هذه هذي اللي الذي التي قد هو هي هم نحن انا انت ان او ثم لكن بس ليش شنو وين
كنت كان اكون ابي ابغي اريد اطلب ارجو اسكن ساكن ساكنه عندي لدي صار قال يقول يشتكي تشتكي يطلب تطلب راجع يريد تريد
مواطن مواطنه مقيم مقيمه بحريني بحرينيه موظف موظفه طالب طالبه ولي ام اب ارمله مطلقه متقاعد متقاعده صاحب صاحبه مريض
مريضه عاطل عاطله رجل امراه والد والده ابن بنت زوج زوجه وزوجتي واهلي وعيالي واخوي وامي متضرر متضرره متزوج متزوجه
الموقع ادناه السيد السيده المواطن المواطنه المدعو مسجل مكتوب الوزير المدير الرئيس بكل غير بعد قبل حق مال
a an the in of to is am are not from with my and or i we he she not very also el w fi min mn men ma mo
resident citizen writing living calling asking waiting sure afraid unable still here at on tired sick
رقم رقمي رقمه رقمها الرقم هاتفي تلفوني number cpr phone mobile passport
"""
_NOT_A_NAME = frozenset(_GRAMMAR.split())


def _is_grammar(word: str) -> bool:
    word = word.lower()
    return word in _NOT_A_NAME or word.removeprefix("و") in _NOT_A_NAME


def names(text: str) -> Iterator[tuple[str, int, int]]:
    """Return ``("name", start, end)`` for each name that a word introduces."""
    for cue in (_FORM, _NAMED, _TITLE, _PERHAPS):
        for match in cue.finditer(text):
            words: list[re.Match[str]] = []
            end = match.end()
            follower = _WORD.match(text, end)
            while follower and len(words) < _MOST_WORDS and not _is_grammar(follower[1]):
                words.append(follower)
                end = follower.end()
                follower = _WORD.match(text, end)
            ends = _SIGN.match(text, end) or (cue is not _PERHAPS and follower and _is_grammar(follower[1]))
            if len(words) > (cue in (_TITLE, _PERHAPS)) and (ends or cue is _FORM):
                yield "name", words[0].start(1), end
