"""Lint a pack: what is sound by its schema, and yet probably not what its author meant."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tawasul_nlp import _yaml
from tawasul_nlp.domain.pack import Domain
from tawasul_nlp.domain.places.gazetteer import AREA_KINDS
from tawasul_nlp.domain.places.levels import folded
from tawasul_nlp.domain.places.lexicon import spellings
from tawasul_nlp.domain.taxonomy import NO_AGENCY
from tawasul_nlp.domain.words import fold_phrase


def check_pack(folder: str | Path) -> list[str]:
    """Check a pack, and return what is doubtful in it as ``file:line: sentence``, in the order of the files.

    Found are areas without a region, names that two entries share, homographs of no place, regions for which a group
    has no member, agencies that get no case, and rules that never change anything.
    A pack that is not sound raises DataError, whose message begins with ``file:line:``. No pattern needs to be tried
    for its running time: the notation of numbers and words has none that could be slow.
    """
    domain = Domain.load(folder)
    places = _yaml.read(domain.file("gazetteer.yaml"), _yaml.schema_of("gazetteer"))
    agencies = _yaml.read(domain.file("agencies.yaml"), _yaml.schema_of("agencies"))
    rules = _yaml.read(domain.file("routing.yaml"), _yaml.schema_of("routing"))
    findings = (
        *_places(domain, places),
        *_names(places, agencies),
        *_homographs(domain, places),
        *_groups(domain, agencies),
        *_agencies(domain, agencies),
        *_rules_without_effect(domain, rules),
    )
    # What another pack lends is not for this one to mend.
    here = f"{Path(folder)}{os.sep}"
    return [finding for finding in findings if finding.startswith(here)]


def _about(entry: _yaml.Record, message: str) -> str:
    return str(entry.error(message))


def _places(domain: Domain, data: _yaml.Record) -> Iterator[str]:
    region, block = domain.gazetteer.levels.region.id, domain.gazetteer.levels.block
    for entry in data["places"]:
        if entry["region"] is None and entry["kind"] in AREA_KINDS:
            yield _about(entry, f"{entry['kind']} {entry['id']!r} has no {region}, so it routes no case")
        whole = domain.gazetteer.places[entry["part_of"]] if entry["part_of"] else None
        if whole is not None and len({whole.governorate, entry["region"]} - {None}) > 1:
            yield _about(entry, f"{entry['id']!r} lies in another {region} than {whole.id!r}, which it is part of")
    for entry in data["levels"]:
        named = block is not None and entry["id"] == block.id
        if named and folded([entry["name_ar"]]).isdisjoint(folded(entry["words"])):
            yield _about(
                entry, f"name_ar {entry['name_ar']!r} is not among its words, so bare numbers in tables are lost"
            )


def _names(data: _yaml.Record, agencies: _yaml.Record) -> Iterator[str]:
    owners: dict[tuple[str, ...], _yaml.Record] = {}
    for entry in (*data["places"], *data["regions"]):
        names = (entry["name_ar"], *entry["variants_ar"], entry["name_en"], *entry["variants_en"])
        for words in dict.fromkeys(spelling for name in names for spelling in spellings(fold_phrase(name))):
            first = owners.setdefault(words, entry)
            if first is not entry:
                yield _about(
                    entry, f"{' '.join(words)!r} of {entry['id']!r} always means {first['id']!r}, which comes first"
                )
    ambiguous = {fold_phrase(entry["alias"]) for entry in agencies["ambiguous_aliases"]}
    bodies: dict[tuple[str, ...], _yaml.Record] = {}
    for entry in agencies["agencies"]:
        for name in (entry["name_ar"], entry["name_en"], *entry["aliases_ar"], *entry["aliases_en"]):
            words = fold_phrase(name)
            first = bodies.setdefault(words, entry)
            if first is not entry and words not in ambiguous:
                yield _about(
                    entry, f"{name!r} of {entry['id']!r} always means {first['id']!r}; is it an ambiguous alias?"
                )


def _homographs(domain: Domain, data: _yaml.Record) -> Iterator[str]:
    for entry in data["homographs"]:
        if not domain.gazetteer.names.written.openings(fold_phrase(entry["form"])[0]):
            yield _about(entry, f"homograph {entry['form']!r} is the name of no place, so it is never looked up")


def _groups(domain: Domain, data: _yaml.Record) -> Iterator[str]:
    region = domain.gazetteer.levels.region.id
    for entry in data["groups"]:
        missing = [place for place in domain.gazetteer.governorates if place not in entry["members"]]
        if missing and entry["by"] in (None, region):
            yield _about(entry, f"group {entry['id']!r} has no member for {', '.join(missing)}")


def _agencies(domain: Domain, data: _yaml.Record) -> Iterator[str]:
    taxonomy = domain.taxonomy
    recipients = set(taxonomy.agency_groups()) | {agency for advice in domain.routing.advice for agency in advice.also}
    members = {member for group in recipients for member in taxonomy.agency(group).members.values()}
    parents = {entry["parent"] for entry in data["agencies"]}
    for entry in (*data["agencies"], *data["groups"]):
        if entry["id"] not in recipients | members | parents | {NO_AGENCY}:
            yield _about(entry, f"{entry['id']!r} owns no topic, and no rule names it: cases only mention it")


def _rules_without_effect(domain: Domain, data: _yaml.Record) -> Iterator[str]:
    written, taxonomy = domain.written_taxonomy, domain.taxonomy
    for entry in data["owners"]:
        if written.topic(entry["topic"]).agency == domain.routing.owners[entry["topic"]]:
            yield _about(entry, f"{entry['topic']!r} has this owner in the taxonomy already")
    for entry, advice in zip(data["advice"], domain.routing.advice, strict=True):
        if all(taxonomy.agency_group(topic) in advice.also for topic in advice.topics) and len(set(advice.also)) == 1:
            yield _about(entry, f"advice {entry['id']!r} can never fire: it informs the agency that gets the case")
        if not entry["topics"] or not entry["also"]:
            yield _about(entry, f"advice {entry['id']!r} can never fire: it has no topics or informs nobody")
