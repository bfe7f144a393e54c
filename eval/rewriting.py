"""Measure masks for personal data and the spelling of Arabizi against texts that were marked by hand.

``eval/data/rewriting.jsonl`` holds one text a line, each in the half ``tune`` or ``test``. Rules were mended with the
tune half in view; the test half was written and stored before, and read only for the figures. Two kinds of lines:

- ``masks``: a text in which what is personal stands in braces behind its kind (``هاتفي {phone:39001234}``). Everything
  else must stay: public lines, amounts, dates, years, blocks, roads.
- ``words``: an Arabizi text word by word. ``el_may=الماي`` is a word (``_`` is a space) with the spellings that a
  reader would accept, ``bill`` one that must stay as it is, ``el_AC=?`` one that is not counted.

Run ``python -m eval.rewriting`` (writes ``eval/results/rewriting.json`` and ``rewriting.md``), or ``--errors`` to list
the errors of the tune half instead.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.import_time import machine
from eval.metrics import exact_interval
from eval.results_files import publish_page
from tawasul_nlp.text import arabizi_to_arabic, find_personal_data, normalize
from tawasul_nlp.text.personal_data import DEFAULT_KINDS

GOLD = Path(__file__).parent / "data" / "rewriting.jsonl"
RESULTS = Path(__file__).parent / "results"
RESAMPLES = 2000
_MARKED = re.compile(r"\{(\w+):([^{}]+)\}")
_ARTICLES = frozenset({"el", "al", "il", "ال"})


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of a text that is personal data: kind, start, end."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Word:
    """A word of an Arabizi text with the spellings that count as right: none means that it must stay."""

    written: str
    accepted: tuple[str, ...]
    counted: bool = True


def read_gold(half: str | None = None) -> list[dict[str, Any]]:
    """Read the lines of one half (None: of both)."""
    lines = [json.loads(line) for line in GOLD.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if half in (None, line["half"])]


def read_marks(marked: str) -> tuple[str, list[Mark]]:
    """Take the marks out of a text.

    >>> read_marks("هاتفي {phone:39001234}.")
    ('هاتفي 39001234.', [Mark(kind='phone', start=6, end=14)])
    """
    parts: list[str] = []
    marks: list[Mark] = []
    last = length = 0
    for match in _MARKED.finditer(marked):
        parts += (marked[last : match.start()], match.group(2))
        start = length + match.start() - last
        length = start + len(match.group(2))
        marks.append(Mark(match.group(1), start, length))
        last = match.end()
    return "".join([*parts, marked[last:]]), marks


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


def _ink(text: str, start: int, end: int) -> frozenset[int]:
    """Give the positions of letters and digits: separators at the ends of a mask do not matter."""
    return frozenset(position for position in range(start, end) if text[position].isalnum())


def judge_masks(line: dict[str, Any]) -> dict[str, Any]:
    """Compare the masks of one text with its marks."""
    text, marks = read_marks(line["masks"])
    wanted = [(mark.kind, _ink(text, mark.start, mark.end)) for mark in marks]
    given = [(span.kind, _ink(text, span.start, span.end)) for span in find_personal_data(text)]
    covered: frozenset[int] = frozenset().union(*(ink for _, ink in given))
    return {
        "wanted": [(kind, ink <= covered, (kind, ink) in given) for kind, ink in wanted],
        "given": [(kind, (kind, ink) in wanted) for kind, ink in given],
    }


def ratio(right: int, n: int) -> dict[str, Any]:
    """Give a share with its exact (Clopper-Pearson) 95% interval."""
    share, low, high = exact_interval(right, n) if n else (None, None, None)
    return {"right": right, "n": n, "share": share, "interval": [low, high]}


def measure_masks(lines: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Count masks by kind."""
    wanted: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    given: dict[str, list[bool]] = defaultdict(list)
    texts = clean = 0
    for line in lines:
        judged = judge_masks(line)
        texts += 1
        clean += all(right for _, _, right in judged["wanted"]) and all(right for _, right in judged["given"])
        for kind, masked, named in judged["wanted"]:
            for key in (kind, "all"):
                wanted[key].append((masked, named))
        for kind, right in judged["given"]:
            for key in (kind, "all"):
                given[key].append(right)
    kinds = [*sorted(DEFAULT_KINDS), "all"]
    return {
        "texts": ratio(clean, texts),
        "kinds": {
            kind: {
                "masked": ratio(sum(masked for masked, _ in wanted[kind]), len(wanted[kind])),
                "as_its_kind": ratio(sum(named for _, named in wanted[kind]), len(wanted[kind])),
                "precision": ratio(sum(given[kind]), len(given[kind])),
            }
            for kind in kinds
        },
    }


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
    """Measure both halves."""
    halves = {}
    for half in ("test", "tune"):
        lines = read_gold(half)
        halves[half] = {
            "masks": measure_masks(line for line in lines if "masks" in line),
            "arabizi": measure_arabizi(line for line in lines if "words" in line),
        }
    return {
        "date": datetime.date.today().isoformat(),
        "command": "python -m eval.rewriting",
        "machine": machine(),
        **halves,
    }


def _shown(figure: dict[str, Any]) -> str:
    if not figure["n"]:
        return "–"
    low, high = (100 * bound for bound in figure["interval"])
    return f"{100 * figure['share']:.1f} [{low:.1f}, {high:.1f}]"


def table(result: dict[str, Any]) -> str:
    """Lay the result out as Markdown."""
    test, tune = result["test"], result["tune"]
    masks, arabizi = test["masks"], test["arabizi"]
    lines = [
        "# Masks for personal data, and Arabizi in Arabic letters",
        "",
        f"{result['date']}, {result['machine']}; `{result['command']}`.",
        "",
        "Measured on texts that the project's authors composed and marked, one by one, with invented numbers. No",
        "native speaker has reviewed them, and they are few, so the intervals (95%) are wide. The test half was stored",
        "before the rules were last changed and was not looked at while they were; the tune half was. Whoever writes",
        "rules and texts thinks of the same things in both: expect less on real texts.",
        "",
        f"## Masks, test half: {masks['texts']['n']} texts",
        "",
        "*Masked*: of what is marked, how much is masked wholly, under whatever name. *As its kind*: under the right",
        "name and to the right length. *Precision*: of the masks, how many are a mark of their kind. Per cent, exact",
        "intervals.",
        "",
        "| kind | marked | masked | as its kind | masks | precision |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for kind, row in masks["kinds"].items():
        lines.append(
            f"| {kind} | {row['masked']['n']} | {_shown(row['masked'])} | {_shown(row['as_its_kind'])} "
            f"| {row['precision']['n']} | {_shown(row['precision'])} |"
        )
    whole = tune["masks"]["kinds"]["all"]
    lines += [
        "",
        f"Texts in which every mask is right and none is missing: {_shown(masks['texts'])}. On the tune half "
        f"({tune['masks']['texts']['n']} texts): masked {_shown(whole['masked'])}, "
        f"precision {_shown(whole['precision'])}.",
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
    """Print what is wrong on the tune half."""
    for line in read_gold("tune"):
        if "masks" in line:
            text, marks = read_marks(line["masks"])
            given = [(span.kind, text[span.start : span.end]) for span in find_personal_data(text)]
            wanted = [(mark.kind, text[mark.start : mark.end]) for mark in marks]
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


def main() -> None:
    """Measure and write the results, or list errors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--errors", action="store_true", help="list the errors of the tune half and stop")
    if parser.parse_args().errors:
        show_errors()
        return
    result = measure()
    publish_page(result, table(result), RESULTS / "rewriting")


if __name__ == "__main__":
    main()
