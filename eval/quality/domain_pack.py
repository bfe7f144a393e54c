"""Measure the places and the personal numbers that a domain pack finds, on held-out cases that were composed for it.

A case lists its places (level, name or number) and its personal data with the words that hold them, and the numbers
that must stay. A place counts once a case; streets by name are told apart, since a gazetteer lists few of them. Only
numbers that a pack describes are looked for: names, addresses and file numbers have no form. References of requests are
masked by default, so they count neither as personal nor as numbers that must stay.

Run ``python -m eval.quality.domain_pack`` (writes ``eval/results/domain_pack.json`` and ``.md``).
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from eval.harness import RESULTS, provenance, publish_page, run_script
from eval.quality.masks import DATA, ratio
from tawasul_nlp import find_places
from tawasul_nlp.domain import Domain
from tawasul_nlp.domain.places.mentions import Place
from tawasul_nlp.text.personal.mask import find_personal_data

PACK = Path(__file__).parents[2] / "examples" / "domains" / "kuwait"
# What the cases call levels and kinds, in the library's words.
_LEVELS = {"street": "road", "avenue": "lane"}
_KINDS = {"civil_id": "cpr", "phone": "phone", "plate": "plate", "iban": "iban"}
_BY_NAME = "street by name"
_REGION = "محافظة "

Named = tuple[str, str]


def read_cases() -> list[dict[str, Any]]:
    """Read the held-out cases."""
    return [json.loads(line) for line in (DATA / "kuwait.jsonl").read_text(encoding="utf-8").splitlines()]


def wanted_place(place: dict[str, Any], domain: Domain) -> Named:
    """Return the level of a labelled place, and its number or its id in the gazetteer."""
    level, name = place["level"], place["name"]
    if name[0].isdecimal():
        return _LEVELS.get(level, level), name
    entries = domain.gazetteer.governorates if level == "governorate" else domain.gazetteer.places
    ids = {entry.name_ar.removeprefix(_REGION): entry.id for entry in entries.values()}
    return (_BY_NAME if level == "street" else level), ids.get(name.removeprefix(_REGION), name)


def found_place(place: Place) -> Named:
    """Return the same of a place that was found."""
    return (_BY_NAME if place.kind == "street" else place.kind), str(place.id if place.number is None else place.number)


def score_places(cases: list[dict[str, Any]], domain: Domain) -> dict[str, dict[str, int]]:
    """Count the wanted, the found and the right places of each level."""
    wanted: Counter[str] = Counter()
    found: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for case in cases:
        expected = {wanted_place(place, domain) for place in case["places"]}
        given = {found_place(place) for place in find_places(case["text"], domain).mentions}
        for counter, places in ((wanted, expected), (found, given), (right, expected & given)):
            counter.update(level for level, _ in places)
    order = [*domain.gazetteer.levels.ids, _BY_NAME]
    levels = {
        level: {"wanted": wanted[level], "found": found[level], "right": right[level]}
        for level in order
        if wanted[level]
    }
    together = [counts for level, counts in levels.items() if level != _BY_NAME]
    levels["all but streets by name"] = {
        name: sum(counts[name] for counts in together) for name in ("wanted", "found", "right")
    }
    return levels


def score_masks(cases: list[dict[str, Any]], domain: Domain) -> dict[str, dict[str, Any]]:
    """Compare masks with the marks of personal numbers and with the numbers that must stay."""
    masked: dict[str, list[bool]] = {kind: [] for kind in _KINDS}
    given, stay = [], []
    for case in cases:
        text = case["text"]
        spans = find_personal_data(text, domain=domain)
        requests = {at for span in spans if span.kind == "request" for at in range(span.start, span.end)}
        covered = {at for span in spans for at in range(span.start, span.end)}
        personal = set()
        for mark in case["personal"]:
            ink = _ink(text, mark)
            personal |= ink
            if mark["type"] in _KINDS:
                masked[mark["type"]].append(ink <= covered)
        for span in spans:
            if span.kind != "request":
                ink = {at for at in range(span.start, span.end) if text[at].isalnum()}
                given.append(ink <= personal)
        for number in case["numbers_kept"]:
            if not _ink(text, number) & requests:
                stay.append(not _ink(text, number) & covered)
    everything = [right for kind in masked.values() for right in kind]
    return {
        **{f"{kind}, masked": ratio(sum(right), len(right)) for kind, right in masked.items()},
        "all, masked": ratio(sum(everything), len(everything)),
        "masks that are right": ratio(sum(given), len(given)),
        "other numbers that stay": ratio(sum(stay), len(stay)),
    }


def _ink(text: str, mark: dict[str, Any]) -> set[int]:
    """Return the positions of a mark's letters and digits."""
    start = mark["start"]
    return {at for at in range(start, start + len(mark["quote"])) if text[at].isalnum()}


def markdown(result: dict[str, Any]) -> str:
    """Lay the result out as Markdown."""
    lines = [
        "# The example pack of Kuwait on held-out cases",
        "",
        f"{result['date']}, {result['machine']}; `{result['command']}`; pack {result['pack']}, {result['cases']} cases "
        "that were composed for this (synthetic, text by text, with a large language model that saw the names of areas "
        "and the forms of numbers; no native speaker has read them). The pack was not changed by them.",
        "",
        "| places | wanted | found | right | precision | recall |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for level, n in result["places"].items():
        precision = f"{n['right'] / n['found']:.3f}" if n["found"] else "–"
        lines.append(
            f"| {level} | {n['wanted']} | {n['found']} | {n['right']} | {precision} | {n['right'] / n['wanted']:.3f} |"
        )
    lines += ["", "| personal numbers | of | share [95%] |", "|---|--:|---|"]
    for name, n in result["masks"].items():
        low, high = n["interval"]
        lines.append(f"| {name} | {n['n']} | {n['share']:.3f} [{low:.3f}, {high:.3f}] |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write the results."""
    domain, cases = Domain.load(PACK), read_cases()
    result = {
        **provenance("python -m eval.quality.domain_pack"),
        "pack": f"{domain.id} {domain.version} ({domain.fingerprint})",
        "cases": len(cases),
        "places": score_places(cases, domain),
        "masks": score_masks(cases, domain),
    }
    publish_page(result, markdown(result), RESULTS / "domain_pack")


if __name__ == "__main__":
    sys.exit(run_script(main))
