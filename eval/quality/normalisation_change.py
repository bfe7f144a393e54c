"""Count the texts of the corpus that newer normalisation rules would change.

A model keeps the rules that it was trained with (``Profile.revision``). This tells what the newest ones would change in
the input of the bundled model, and in what its n-gram reader and the search for duplicates read, which always use the
newest: of all texts in ``training/data``, how many come out otherwise.

Run ``python -m eval.quality.normalisation_change`` (writes ``eval/results/normalisation_change.json`` and ``.md``).
"""

from __future__ import annotations

import csv
import datetime
import gzip
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from eval.results_files import RESULTS, publish_page
from tawasul_nlp._system import machine
from tawasul_nlp.model.folder import BUNDLED, read_config
from tawasul_nlp.text import PROFILES, Normalizer, Profile

ROOT = Path(__file__).resolve().parents[2]


def corpus_texts(folder: Path) -> list[str]:
    """Read all distinct texts of the corpus: cases, reports of one incident, hard negatives, sentence pairs."""
    texts: dict[str, None] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            texts[json.loads(line)["text"]] = None
    for path in sorted(folder.glob("*.csv.gz")):
        with gzip.open(path, "rt", encoding="utf-8", newline="") as rows:
            for row in csv.DictReader(rows):
                texts.update(dict.fromkeys((row["msa"], row["bahraini"])))
    return list(texts)


def changed(texts: Iterable[str], one: Profile, other: Profile) -> list[str]:
    """Give the texts that two profiles normalise otherwise.

    Examples
    --------
    >>> newest = PROFILES["default"]
    >>> changed(["http://a@b.com/x", "b.com"], replace(newest, revision=1), newest)
    ['http://a@b.com/x']
    """
    first, second = Normalizer(one), Normalizer(other)
    return [text for text in texts if first(text) != second(text)]


def measure(texts: list[str]) -> dict[str, Any]:
    """Count what changes from the bundled model's revision to the newest, for its profile and for ``matching``."""
    trained = Profile.from_dict(read_config(BUNDLED).profile)
    rows = []
    for name, profile in ((f"bundled model ({trained.name})", trained), ("matching", PROFILES["matching"])):
        old, new = replace(profile, revision=trained.revision), replace(profile, revision=0)
        moved = len(changed(texts, old, new))
        rows.append({"input": name, "from": old.revision, "to": new.revision, "texts": len(texts), "changed": moved})
    return {"rows": rows}


def as_markdown(result: dict[str, Any]) -> str:
    """Write the result as a page with a table."""
    lines = [
        "# What newer normalisation rules change",
        "",
        f"{result['date']}, {result['machine']}; `{result['command']}`.",
        "",
        "All distinct texts in `training/data`, normalised by the rules that the bundled model was trained with, which",
        "it keeps, and by the newest.",
        "",
        "| input of | from revision | to | texts | changed |",
        "|---|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {row['input']} | {row['from']} | {row['to']} | {row['texts']:,} | {row['changed']:,} |"
        for row in result["rows"]
    ]
    return "\n".join([*lines, ""])


def main() -> None:
    """Count and write the results."""
    result = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "command": "python -m eval.quality.normalisation_change",
        **measure(corpus_texts(ROOT / "training" / "data")),
    }
    publish_page(result, as_markdown(result), RESULTS / "normalisation_change")


if __name__ == "__main__":
    main()
