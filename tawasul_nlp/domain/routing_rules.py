"""The routing rules of a pack: who owns a topic, whom else to inform, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from string import Formatter
from typing import Final

from tawasul_nlp import _yaml
from tawasul_nlp.domain.places.lexicon import Phrases
from tawasul_nlp.domain.taxonomy import Agency, Taxonomy
from tawasul_nlp.domain.words import fold_phrase


@dataclass(frozen=True, slots=True)
class Advice:
    """Agencies to inform besides the recipient, in cases of some topics whose text has one of the cues."""

    id: str
    topics: frozenset[str]
    cues: Phrases | None
    also: tuple[str, ...]
    en: str
    ar: str


@dataclass(frozen=True, slots=True)
class RoutingRules:
    """The rules of a pack."""

    # A sentence in English and Arabic for each rule, with the names of topic, agency and place left open.
    reasons: Mapping[str, tuple[str, str]]
    owners: Mapping[str, str]  # the agency or group of the topics that have another one than in the taxonomy
    advice: tuple[Advice, ...]


REASONS: Final = (
    "topic_owner",
    "municipality_by_place",
    "municipality_by_name",
    "municipality_without_place",
    "no_agency",
)
_FIELDS: Final = ("topic", "agency", "governorate")


@lru_cache(maxsize=8)
def read_rules(file: _yaml.File, taxonomy: Taxonomy) -> RoutingRules:
    """Check rules, and their ids against a taxonomy; DataError names the line that is wrong."""
    data = _yaml.read(file, _yaml.schema_of("routing"))
    reasons = _yaml.unique(data["reasons"], "reason")
    missing = [reason for reason in REASONS if reason not in reasons]
    if missing:
        raise data.error(f"no reason for {', '.join(missing)}")
    for entry in reasons.values():
        _check_sentences(entry)
    agencies = {**taxonomy.agencies_by_code(), **taxonomy.agencies}
    _check_ids(data, taxonomy.topics, agencies)
    return RoutingRules(
        reasons={key: (entry["en"], entry["ar"]) for key, entry in reasons.items()},
        owners={entry["topic"]: agencies[entry["agency"]].id for entry in data["owners"]},
        advice=tuple(
            entry.into(
                Advice,
                topics=frozenset(entry["topics"]),
                cues=Phrases((fold_phrase(cue), entry["id"]) for cue in entry["cues"]) if entry["cues"] else None,
                also=tuple(agencies[agency].id for agency in entry["also"]),
            )
            for entry in data["advice"]
        ),
    )


def _check_sentences(entry: _yaml.Record) -> None:
    for sentence in (entry["en"], entry["ar"]):
        try:
            left_open = {(name, form, conversion) for _, name, form, conversion in Formatter().parse(sentence)}
        except ValueError:
            left_open = {("", "", None)}
        # Only the names themselves: an attribute or a width would run as the sentence is filled in.
        if not left_open <= {(None, None, None), *((name, "", None) for name in _FIELDS)}:
            raise entry.error(
                f"the reason {entry['id']!r} has braces with something else than {', '.join(_FIELDS)} in them"
            )


def _check_ids(data: _yaml.Record, topics: Mapping[str, object], agencies: Mapping[str, Agency]) -> None:
    """Raise DataError if a rule names a topic or an agency that the taxonomy lacks, or a topic has two owners."""
    owned: dict[str, int] = {}
    for entry in data["owners"]:
        if entry["topic"] not in topics:
            raise entry.error(f"an owner is named for the unknown topic {entry['topic']!r}")
        if entry["agency"] not in agencies:
            raise entry.error(f"topic {entry['topic']!r} has the unknown owner {entry['agency']!r}")
        if entry["topic"] in owned:
            raise entry.error(f"topic {entry['topic']!r} already has an owner on line {owned[entry['topic']]}")
        owned[entry["topic"]] = entry.line
    for entry in _yaml.unique(data["advice"], "advice").values():
        for what, ids, existing in (("topic", entry["topics"], topics), ("agency", entry["also"], agencies)):
            unknown = [identifier for identifier in ids if identifier not in existing]
            if unknown:
                raise entry.error(f"advice {entry['id']!r} names the unknown {what} {unknown[0]!r}")
