"""Compare the normalisation profiles with camel-tools, pyarabic and AraBERT's own preprocessing.

Two questions, answered on real lines (Bahraini law, product reviews, our corpus, ArBanking77):
does the profile ``arabert`` give the identical string, and how many texts a second does each give?
The ``arabert`` package pins emoji 1.4.2, which camel-tools cannot work with, so it is installed into
a throwaway environment and runs there, in a process of its own that times itself.

Every contender takes its turn in each round, so that a change in the machine's load meets all of
them, and the median of the rounds is reported.

Run ``python -m eval.quality.normalisation --data DIR``, where DIR holds ``bahrain_laws``, ``bahraini_reviews``
and ``arbanking77``; the corpus is the repository's own. ``--environment`` keeps the throwaway environment.
"""

from __future__ import annotations

import csv
import gzip
import html
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from eval.harness import RESULTS, provenance, publish_page, run_script
from eval.processes import answering, ask, python_with

ROOT = Path(__file__).resolve().parents[2]
PINNED = ("arabert==1.0.1", "emoji==1.4.2", "PyArabic==0.6.15", "six")
SEED = 20261124

# Runs in the throwaway environment: reads a JSON list a line, answers with a JSON line.
REFERENCE = """
import json, sys, time
from arabert.preprocess import ArabertPreprocessor
import pyarabic.araby as araby

def pyarabic(text):
    return araby.normalize_hamza(araby.normalize_ligature(araby.strip_tatweel(araby.strip_tashkeel(text))))

contenders = {
    "arabert": ArabertPreprocessor("bert-base-arabertv02").preprocess,
    "arabert-twitter": ArabertPreprocessor("bert-base-arabertv02-twitter").preprocess,
    "pyarabic": pyarabic,
}
texts = json.loads(sys.stdin.readline())
for line in sys.stdin:
    function = contenders[line.strip()]
    start = time.perf_counter()
    results = [function(text) for text in texts]
    print(json.dumps([time.perf_counter() - start, results]), flush=True)
"""


def real_lines(data: Path, wanted: int) -> dict[str, list[str]]:
    """Draw the same number of distinct lines from each source, repeatably."""
    with gzip.open(data / "bahrain_laws" / "provisions.txt.gz", "rt", encoding="utf-8") as lines:
        laws = [line.strip() for line in lines]
    with (data / "bahraini_reviews" / "msa_bahraini_pairs.csv").open(encoding="utf-8", newline="") as rows:
        reviews = [cell for row in csv.reader(rows) for cell in row if len(cell) > 20]
    with (ROOT / "training" / "data" / "cases.jsonl").open(encoding="utf-8") as lines:
        corpus = [json.loads(line)["text"] for line in lines]
    banking = []
    for name in ("MSA_PAL_train.csv", "MSA_PAL_val.csv", "MSA_test.csv"):
        with (data / "arbanking77" / name).open(encoding="utf-8", newline="") as rows:
            banking += [row["text"] for row in csv.DictReader(rows)]
    rng = random.Random(SEED)
    drawn = {}
    for name, texts in (("laws", laws), ("reviews", reviews), ("corpus", corpus), ("arbanking77", banking)):
        distinct = sorted({text for text in texts if text.strip()})
        drawn[name] = rng.sample(distinct, min(wanted // 4, len(distinct)))
    return drawn


def camel_default() -> Callable[[str], str]:
    """Give the steps of the profile ``default`` as one writes them with camel-tools.

    camel-tools' own functions and mapper where it has one, ``re`` and ``html`` from the standard library
    where it has none (entities, addresses, repetition, white space).
    """
    from camel_tools.utils.charmap import CharMapper
    from camel_tools.utils.dediac import dediac_ar
    from camel_tools.utils.normalize import normalize_unicode

    from tawasul_nlp.text.profiles import PROFILES
    from tawasul_nlp.text.steps import EMAIL_PLACEHOLDER, URL_PLACEHOLDER, character_table

    # Without the joiner, which `default` keeps inside emoji.
    table: dict[str, str | None] = dict(character_table(PROFILES["default"].steps))
    del table["\u200d"]
    mapper = CharMapper(table, default=None)
    url = re.compile(r"(?:https?://|www\.)\S+|\b[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.(?:bh|com|net|org|gov|edu)\b\S*")
    email = re.compile(r"[\w.%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
    hashtag = re.compile(r"#([^\W\d]\w*)")
    vowels = re.compile(r"([اويى])\1{2,}")
    repeated = re.compile(r"([^\d\s])\1{2,}")
    space = re.compile(r"\s+")

    def run(text: str) -> str:
        text = dediac_ar(normalize_unicode(html.unescape(text)))
        text = mapper.map_string(text)
        text = url.sub(URL_PLACEHOLDER, email.sub(EMAIL_PLACEHOLDER, text))
        text = hashtag.sub(lambda match: match.group(1).replace("_", " "), text)
        text = repeated.sub(r"\1\1", vowels.sub(r"\1", text))
        return space.sub(" ", text).strip()

    return run


def camel_short() -> Callable[[str], str]:
    """Give the part of ``default`` that camel-tools has functions for, without its slow mapper."""
    from camel_tools.utils.dediac import dediac_ar
    from camel_tools.utils.normalize import normalize_unicode

    return lambda text: dediac_ar(normalize_unicode(text))


def camel_matching() -> Callable[[str], str]:
    """Give ``default`` by camel-tools and then its folding functions."""
    from camel_tools.utils.normalize import normalize_alef_ar, normalize_alef_maksura_ar, normalize_teh_marbuta_ar

    first = camel_default()
    return lambda text: normalize_teh_marbuta_ar(normalize_alef_maksura_ar(normalize_alef_ar(first(text))))


@contextmanager
def reference_process(environment: Path | None) -> Iterator[subprocess.Popen[str]]:
    """Build the throwaway environment and run the reference in it."""
    with tempfile.TemporaryDirectory() as folder:
        python = python_with(environment or Path(folder) / "env", "--no-deps", *PINNED)
        with answering([python, "-c", REFERENCE]) as process:
            yield process


def measure(drawn: dict[str, list[str]], rounds: int, environment: Path | None) -> dict[str, Any]:
    """Time every contender in turn and compare the AraBERT profiles with their reference."""
    from tawasul_nlp.text import Normalizer
    from tawasul_nlp.text.profiles import PROFILES

    texts = [text for source in drawn.values() for text in source]
    ours = {name: Normalizer(name) for name in PROFILES}
    here: dict[str, Callable[[str], str]] = {
        **{name: ours[name].normalize for name in PROFILES},
        "camel-tools, steps of default": camel_default(),
        "camel-tools, NFKC and diacritics only": camel_short(),
        "camel-tools, steps of matching": camel_matching(),
    }
    there = {"arabert": "AraBERT's own", "arabert-twitter": "AraBERT's own, Twitter", "pyarabic": "pyarabic"}
    seconds: dict[str, list[float]] = {name: [] for name in [*here, *there.values()]}
    outputs: dict[str, list[str]] = {}
    with reference_process(environment) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(texts) + "\n")
        for turn in range(rounds):
            for name, function in here.items():
                start = time.perf_counter()
                outputs[name] = [function(text) for text in texts]
                seconds[name].append(time.perf_counter() - start)
            for key, name in there.items():
                spent, outputs[name] = ask(process, key)
                seconds[name].append(spent)
            print(f"round {turn + 1} of {rounds}", file=sys.stderr)
    start = time.perf_counter()
    for text in texts:
        ours["default"].normalize_with_offsets(text)
    with_offsets = time.perf_counter() - start
    identical = {}
    for key in ("arabert", "arabert-twitter"):
        pairs = zip(outputs[key], outputs[there[key]], strict=True)
        different = [index for index, (mine, reference) in enumerate(pairs) if mine != reference]
        identical[key] = {"lines": len(texts), "different": len(different), "share": 1 - len(different) / len(texts)}
    speed = {
        name: {
            "median": len(texts) / statistics.median(spent),
            "lowest": len(texts) / max(spent),
            "highest": len(texts) / min(spent),
        }
        for name, spent in seconds.items()
    }
    same_as_camel = sum(
        a == b for a, b in zip(outputs["default"], outputs["camel-tools, steps of default"], strict=True)
    )
    return {
        "lines": {name: len(source) for name, source in drawn.items()},
        "characters_per_line": sum(map(len, texts)) / len(texts),
        "identical": identical,
        "default_same_as_camel_tools": same_as_camel / len(texts),
        "texts_per_second": speed,
        "default_with_offsets_texts_per_second": len(texts) / with_offsets,
        "ratios": {
            "arabert to AraBERT's own": _ratio(seconds, "AraBERT's own", "arabert"),
            "arabert-twitter to AraBERT's own, Twitter": _ratio(seconds, "AraBERT's own, Twitter", "arabert-twitter"),
            "default to camel-tools, steps of default": _ratio(seconds, "camel-tools, steps of default", "default"),
            "matching to camel-tools, steps of matching": _ratio(seconds, "camel-tools, steps of matching", "matching"),
        },
    }


def _ratio(seconds: dict[str, list[float]], slow: str, fast: str) -> float:
    """Give the median over the rounds of how many times as fast one is as the other."""
    return statistics.median(a / b for a, b in zip(seconds[slow], seconds[fast], strict=True))


def as_markdown(result: dict[str, Any]) -> str:
    """Write the result as a page with tables."""
    lines = [
        "# Normalisation: identity and speed",
        "",
        f"{result['date']}, {result['machine']}, one process, {result['rounds']} rounds, every contender once a round.",
        f"Command: `{result['command']}`",
        "",
        "Lines: " + ", ".join(f"{name} {count:,}" for name, count in result["lines"].items()),
        f"({result['characters_per_line']:.0f} characters a line).",
        "",
        "| profile | lines | different from AraBERT's own | identical |",
        "|---|---|---|---|",
    ]
    for name, row in result["identical"].items():
        lines.append(f"| {name} | {row['lines']:,} | {row['different']:,} | {row['share']:.3%} |")
    lines += ["", "| contender | texts/s, median | lowest | highest |", "|---|---|---|---|"]
    for name, row in result["texts_per_second"].items():
        figures = " | ".join(f"{row[key]:,.0f}" for key in ("median", "lowest", "highest"))
        lines.append(f"| {name} | {figures} |")
    offsets = result["default_with_offsets_texts_per_second"]
    lines += [f"| default, with offsets | {offsets:,.0f} (once) | | |", ""]
    lines += ["| times as fast | median of the rounds |", "|---|---|"]
    lines += [f"| {name} | {ratio:.1f} |" for name, ratio in result["ratios"].items()]
    lines += [
        "",
        "`default` and its steps by camel-tools give the same string for "
        f"{result['default_same_as_camel_tools']:.2%} of the lines;",
        "pyarabic does less than any profile (harakat, tatweel, ligatures, hamza).",
        "",
    ]
    return "\n".join(lines)


def main(
    data: Annotated[Path, "holds bahrain_laws, bahraini_reviews and arbanking77"],
    lines: int = 20_000,
    rounds: int = 5,
    environment: Annotated[Path | None, "reuse (or make and keep) the reference's environment here"] = None,
) -> None:
    """Run the comparison and write ``eval/results/normalisation.json`` and ``.md``."""
    result = {
        **provenance(f"python -m eval.quality.normalisation --data DIR --lines {lines} --rounds {rounds}"),
        "rounds": rounds,
        **measure(real_lines(data, lines), rounds, environment),
    }
    publish_page(result, as_markdown(result), RESULTS / "normalisation")


if __name__ == "__main__":
    sys.exit(run_script(main))
