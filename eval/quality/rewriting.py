"""Measure masks for personal data and the spelling of Arabizi against texts that were marked by hand.

Two files hold one text a line, each in the half ``tune`` or ``test``. Rules were mended with the tune half in view;
the test half was written and stored before, and read only for the figures. Lines with ``masks`` are read as
:mod:`eval.quality.masks` measures:

- ``eval/data/personal.jsonl``: texts by other hands than the rules', many with odd spellings; names are marked too.
  Those whose id begins with ``px`` are by yet another hand, came last, and are all of the half ``tune``.
- ``eval/data/rewriting.jsonl``: texts by the hand that wrote the first rules, and lines with ``words``: an Arabizi
  text word by word. ``el_may=الماي`` is a word (``_`` is a space) with the spellings that a reader would accept,
  ``bill`` one that must stay as it is, ``el_AC=?`` one that is not counted.

Run ``python -m eval.quality.rewriting`` (writes ``eval/results/rewriting.json`` and ``rewriting.md``), or
``--errors`` to list the errors of the tune halves instead.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from eval.harness import RESULTS, provenance, publish_page, run_script
from eval.quality.masks import measure_masks, read_lines, read_marks
from tawasul_nlp.text import normalize
from tawasul_nlp.text.arabizi import arabizi_to_arabic
from tawasul_nlp.text.personal.mask import DEFAULT_KINDS, find_personal_data

MASKS, REWRITING = "personal.jsonl", "rewriting.jsonl"
RESAMPLES = 2000
#: Measured once, with the rules of the commit that it names; the texts have been in the tune half since.
FURTHER = (
    "300 further texts by yet another hand (ids `px-…`, now in the tune half), before the rules were mended by them,",
    "at commit a082961: of 397 marks masked 91.4 [88.2, 94.0] and under their kind 90.9 [87.7, 93.6]; of 368 masks a",
    "mark of their kind 98.1 [96.1, 99.2]; of 661 other numbers stayed 100.0 [99.4, 100.0]. Masked by kind: account",
    "94.7, card 100, cpr 98.1, cr 61.9, email 97.2, iban 100, passport 90.6, phone 98.0, plate 75.7, request 82.2.",
    "That is what to expect of rules on wording that they have not met.",
)
_ARTICLES = frozenset({"el", "al", "il", "ال"})


@dataclass(frozen=True, slots=True)
class Word:
    """A word of an Arabizi text with the spellings that count as right: none means that it must stay."""

    written: str
    accepted: tuple[str, ...]
    counted: bool = True


def read_words(words: str) -> list[Word]:
    """Take an Arabizi text apart.

    >>> [word.written for word in read_words("el_may=الماي bill el_AC=?")]
    ['el may', 'bill', 'el AC']
    """
    read = []
    for word in words.split():
        written, _, accepted = word.partition("=")
        spellings = () if accepted in ("", "?") else tuple(accepted.replace("_", " ").split("|"))
        read.append(Word(written.replace("_", " "), spellings, accepted != "?"))
    return read


def answer_words(words: Sequence[Word]) -> Iterator[tuple[Word, str]]:
    """Write a text in Arabic letters and give each of its words with what stands for it afterwards."""
    row = arabizi_to_arabic(" ".join(word.written for word in words)).split(" ")
    position = 0
    for word in words:
        # "el may" has become one word, unless its article stands alone still.
        size = word.written.count(" ") + 1 if row[position].lower() in _ARTICLES else 1
        yield word, " ".join(row[position : position + size])
        position += size
    if position != len(row):
        raise ValueError(f"{row} are not the {len(words)} words of {[word.written for word in words]}")


def is_accepted(word: Word, answer: str) -> bool:
    """Tell whether a spelling counts: hamza, ta marbuta and ya fold, for readers spell them in either way."""
    spelled = normalize(answer, "matching")
    return any(normalize(accepted, "matching") == spelled for accepted in word.accepted)


def measure_arabizi(lines: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Count the words that became Arabic, those whose spelling is accepted, and those that stayed as they should.

    Words of one text share its fate, so texts are resampled for the intervals.
    """
    rows = []
    for line in lines:
        counts = [0] * 5
        for word, answer in answer_words(read_words(line["words"])):
            if not word.counted:
                continue
            if word.accepted:
                counts[0] += 1
                counts[1] += re.search("[A-Za-z]", answer) is None
                counts[2] += is_accepted(word, answer)
            elif re.search("[A-Za-z]", word.written):
                counts[3] += 1
                counts[4] += answer == word.written
        rows.append(counts)
    table = np.array(rows)
    generator = np.random.default_rng(0)
    drawn = table[generator.integers(0, len(table), (RESAMPLES, len(table)))].sum(axis=1)
    whole = table.sum(axis=0)

    def share(right: int, n: int) -> dict[str, Any]:
        shares = drawn[:, right] / np.maximum(drawn[:, n], 1)
        return {
            "right": int(whole[right]),
            "n": int(whole[n]),
            "share": float(whole[right] / whole[n]),
            "interval": [float(bound) for bound in np.quantile(shares, (0.025, 0.975))],
        }

    return {"texts": len(table), "converted": share(1, 0), "accepted": share(2, 0), "stayed": share(4, 3)}


def measure() -> dict[str, Any]:
    """Measure both halves of both files."""
    halves = {}
    for half in ("test", "tune"):
        personal, rewriting = read_lines(MASKS, half), read_lines(REWRITING, half)
        halves[half] = {
            "masks": measure_masks(personal),
            "first_masks": measure_masks(line for line in rewriting if "masks" in line),
            "names": measure_masks(personal, {"name"})["kinds"]["name"],
            "arabizi": measure_arabizi(line for line in rewriting if "words" in line),
        }
    return {
        **provenance("python -m eval.quality.rewriting"),
        **halves,
    }


def _shown(figure: dict[str, Any]) -> str:
    if not figure["n"]:
        return "–"
    low, high = (100 * bound for bound in figure["interval"])
    return f"{100 * figure['share']:.1f} [{low:.1f}, {high:.1f}]"


def _mask_table(masks: dict[str, Any]) -> list[str]:
    lines = ["| kind | marked | masked | as its kind | masks | precision |", "|---|--:|--:|--:|--:|--:|"]
    lines += [
        f"| {kind} | {row['masked']['n']} | {_shown(row['masked'])} | {_shown(row['as_its_kind'])} "
        f"| {row['precision']['n']} | {_shown(row['precision'])} |"
        for kind, row in masks["kinds"].items()
    ]
    return lines


def table(result: dict[str, Any]) -> str:
    """Lay the result out as Markdown."""
    test, tune = result["test"], result["tune"]
    masks, first, names, arabizi = test["masks"], test["first_masks"], test["names"], test["arabizi"]
    whole, first_whole = tune["masks"]["kinds"]["all"], first["kinds"]["all"]
    lines = [
        "# Masks for personal data, and Arabizi in Arabic letters",
        "",
        f"{result['date']}, {result['machine']}; `{result['command']}`.",
        "",
        "Measured on texts that the project's authors composed and marked, one by one, with invented numbers. No",
        "native speaker has reviewed them, so expect less on real texts. The test halves were stored before the rules",
        "were last changed and were not read while they were; the tune halves were. The figures of the first table",
        "were looked at six times between changes, and twice more when the rules were mended by 300 further texts.",
        "",
        f"## Masks, test half: {masks['texts']['n']} texts of `eval/data/personal.jsonl`",
        "",
        "By another hand than the rules', with many odd spellings.",
        "",
        "*Masked*: of what is marked, how much is masked wholly, under whatever name. *As its kind*: under the right",
        "name and to the right length. *Precision*: of the masks, how many are a mark of their kind. Per cent, exact",
        "intervals.",
        "",
        *_mask_table(masks),
        "",
        f"Texts in which every mask is right and none is missing: {_shown(masks['texts'])}. Of the",
        f"{masks['others_stay']['n']} other numbers in them (amounts, dates, places, meters, public lines)",
        f"{_shown(masks['others_stay'])} stay. On the tune half ({tune['masks']['texts']['n']} texts):",
        f"masked {_shown(whole['masked'])}, precision {_shown(whole['precision'])}.",
        "",
        *FURTHER,
        "",
        "Names of persons, masked only when the kind `name` is asked for: of",
        f"{names['masked']['n']} marked ones {_shown(names['masked'])} are masked, and",
        f"{_shown(names['precision'])} of {names['precision']['n']} masks are a name to the right length.",
        "In texts without names, the same words announce none: expect false ones there.",
        "",
        f"The {first['texts']['n']} texts of the test half of `eval/data/rewriting.jsonl`, by the hand that wrote the",
        f"first rules: masked {_shown(first_whole['masked'])}, precision {_shown(first_whole['precision'])}.",
        "",
        f"## Arabizi, test half: {arabizi['texts']} texts",
        "",
        "*Converted*: of the Arabizi words, how many have no Latin letter left. *Accepted*: how many are spelled as",
        "the authors would read them (hamza, ta marbuta and ya in either spelling). *Stayed*: of the English words,",
        "names and codes, how many are as they were. Per cent; intervals from resampled texts.",
        "",
        "| half | texts | Arabizi words | converted | accepted | other words | stayed |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for half in ("test", "tune"):
        row = result[half]["arabizi"]
        lines.append(
            f"| {half} | {row['texts']} | {row['converted']['n']} | {_shown(row['converted'])} "
            f"| {_shown(row['accepted'])} | {row['stayed']['n']} | {_shown(row['stayed'])} |"
        )
    return "\n".join([*lines, ""])


def show_errors() -> None:
    """Print what is wrong on the tune halves."""
    for line in [*read_lines(MASKS, "tune"), *read_lines(REWRITING, "tune")]:
        if "masks" in line:
            text, marks = read_marks(line["masks"])
            given = [(span.kind, text[span.start : span.end]) for span in find_personal_data(text)]
            wanted = [(mark.kind, text[mark.start : mark.end]) for mark in marks if mark.kind in DEFAULT_KINDS]
            if given != wanted:
                print(f"{line['id']} {text}\n    wanted {wanted}\n    given  {given}")
        else:
            wrong = [
                f"{word.written} -> {answer} ({'|'.join(word.accepted) or 'stays'})"
                for word, answer in answer_words(read_words(line["words"]))
                if word.counted and not (is_accepted(word, answer) if word.accepted else answer == word.written)
            ]
            if wrong:
                print(f"{line['id']} {'; '.join(wrong)}")


def main(errors: Annotated[bool, "list the errors of the tune halves and stop"] = False) -> None:
    """Measure and write the results, or list errors."""
    if errors:
        show_errors()
        return
    result = measure()
    publish_page(result, table(result), RESULTS / "rewriting")


if __name__ == "__main__":
    sys.exit(run_script(main))
