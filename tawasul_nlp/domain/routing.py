"""Route a case to one recipient, with a reason, by its topic, places and named agencies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

from tawasul_nlp import _yaml
from tawasul_nlp.domain._folding import Words, fold_phrase, readings, split_words
from tawasul_nlp.domain.agencies import AgencyMention
from tawasul_nlp.domain.gazetteer import DATA, Phrases
from tawasul_nlp.domain.places import Places
from tawasul_nlp.domain.taxonomy import NO_AGENCY, Agency, Taxonomy, Topic

_CUE_AFTER_PARTICLE: Final = 5
PLACE: Final = "place"
"""The missing information of a municipal case without a place."""


@dataclass(frozen=True, slots=True)
class Routing:
    """Who receives a case, and why.

    Attributes
    ----------
    agency_id
        Id of the recipient: the group's id if it could not be resolved, ``none`` if no agency owns the topic.
    group
        The label that a model learns for the topic: the agency, with municipalities as one group.
    rule
        Id of the rule that decided.
    reason_en, reason_ar
        One sentence each.
    needs
        What is missing before the case can be sent, such as ``("place",)``.
    also
        Ids of further agencies concerned, by advice rules or the text.
    advice
        Ids of the advice rules that applied.
    """

    agency_id: str
    group: str
    rule: str
    reason_en: str
    reason_ar: str
    needs: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Boundary:
    """A boundary between topics: pairs of a condition (English) and the topic that fits."""

    id: str
    cases: tuple[tuple[str, str], ...]


def route(
    topic_id: str,
    places: Places | None = None,
    named_agencies: Iterable[str | AgencyMention] = (),
    text: str | None = None,
    taxonomy: Taxonomy | None = None,
) -> Routing:
    """Route a case.

    The recipient is the agency of the topic; a municipal topic goes to the municipality of the incident's governorate,
    or, without a place, to the one municipality that the text addresses. A text that points equally to two governorates
    needs a place. Rules on words of the text only add advice (``also``, ``advice``) and never change the recipient.

    Parameters
    ----------
    topic_id
        Id of a topic of the taxonomy.
    places
        The result of ``find_places``; None if no place is known.
    named_agencies
        Ids of agencies, or the result of ``find_named_agencies``.
    text
        The original text, for the advice rules; None skips them.
    taxonomy
        None is the bundled taxonomy.

    Raises
    ------
    UnknownIdError
        If the topic or a named agency is not in the taxonomy.

    Examples
    --------
    >>> from tawasul_nlp.domain import find_places
    >>> text = "الزبالة متراكمة في مجمع 226 بالبسيتين"
    >>> route("waste_collection", find_places(text)).agency_id
    'muharraq_municipality'
    >>> unplaced = route("waste_collection", find_places("الزبالة متراكمة"))
    >>> unplaced.agency_id, unplaced.needs
    ('municipality', ('place',))
    >>> route("street_lighting_fault", text="ليتات الحديقة مطفية").also
    ('municipality',)
    """
    taxonomy = taxonomy or Taxonomy.load()
    topic = taxonomy.topic(topic_id)
    owner = taxonomy.agency(topic.agency)
    governorate = places.governorate if places is not None else None
    ids = (name.id if isinstance(name, AgencyMention) else name for name in named_agencies)
    named = tuple(dict.fromkeys(taxonomy.agency(agency_id).id for agency_id in ids))
    rules = _rules()
    needs: tuple[str, ...] = ()
    if owner.id == NO_AGENCY:
        recipient, rule = owner, "no_agency"
    elif not owner.members:
        recipient, rule = owner, "topic_owner"
    elif governorate is not None and governorate in owner.members:
        recipient, rule = taxonomy.agency(owner.members[governorate]), "municipality_by_place"
    else:
        addressed = [name for name in named if name in owner.members.values()]
        if len(addressed) == 1 and not _is_torn(places):
            recipient, rule = taxonomy.agency(addressed[0]), "municipality_by_name"
        else:
            recipient, rule, needs = owner, "municipality_without_place", (PLACE,)

    advice = _advice(topic, text, rules) if text else ()
    concerned = [_resolve(taxonomy, agency, governorate) for entry in advice for agency in entry.also]
    concerned += [name for name in named if name not in owner.members.values()]
    also = tuple(name for name in dict.fromkeys(concerned) if name != recipient.id and name in taxonomy.agencies)
    reason_en, reason_ar = _reason(rules.reasons[rule], topic, recipient, taxonomy, governorate)
    return Routing(
        agency_id=recipient.id,
        group=topic.agency,
        rule=rule,
        reason_en=" ".join([reason_en, *(entry.en for entry in advice)]),
        reason_ar=" ".join([reason_ar, *(entry.ar for entry in advice)]),
        needs=needs,
        also=also,
        advice=tuple(entry.id for entry in advice),
    )


def _is_torn(places: Places | None) -> bool:
    """Return whether a text points equally to several governorates."""
    return places is not None and places.governorate is None and any(m.strength == "strong" for m in places.mentions)


def boundaries(topic_id: str | None = None) -> tuple[Boundary, ...]:
    """Return the boundaries between topics; with a topic, those that lead to it.

    Examples
    --------
    >>> [boundary.id for boundary in boundaries("water_leak")]
    ['R04']
    """
    return tuple(
        boundary
        for boundary in _rules().boundaries
        if topic_id is None or any(topic == topic_id for _, topic in boundary.cases)
    )


@dataclass(frozen=True, slots=True)
class _Advice:
    id: str
    topics: frozenset[str]
    cues: Phrases | None
    also: tuple[str, ...]
    en: str
    ar: str


@dataclass(frozen=True, slots=True)
class _Rules:
    reasons: Mapping[str, tuple[str, str]]
    advice: tuple[_Advice, ...]
    boundaries: tuple[Boundary, ...] = field(default=())


_SENTENCES: Final = {"en": _yaml.text, "ar": _yaml.text}
_REASONS: Final = (
    "topic_owner",
    "municipality_by_place",
    "municipality_by_name",
    "municipality_without_place",
    "no_agency",
)
_SCHEMA: Final = _yaml.record(
    {
        "version": _yaml.text,
        "reasons": _yaml.list_of(_yaml.record({"id": _yaml.one_of(*_REASONS), **_SENTENCES})),
        "advice": _yaml.list_of(
            _yaml.record(
                {
                    "id": _yaml.text,
                    "topics": _yaml.list_of(_yaml.identifier),
                    "also": _yaml.list_of(_yaml.identifier),
                    **_SENTENCES,
                },
                {"cues": (_yaml.list_of(_yaml.text), ())},
            )
        ),
        "boundaries": _yaml.list_of(
            _yaml.record(
                {
                    "id": _yaml.text,
                    "cases": _yaml.list_of(_yaml.record({"when": _yaml.text, "then": _yaml.identifier})),
                }
            )
        ),
    }
)


@lru_cache(maxsize=1)
def _rules() -> _Rules:
    return _load_rules(DATA / "routing.yaml")


def _load_rules(path: Path) -> _Rules:
    """Load rules and check their ids against the bundled taxonomy."""
    taxonomy = Taxonomy.load()
    data = _yaml.read(path, _SCHEMA)
    reasons = {key: (entry["en"], entry["ar"]) for key, entry in _yaml.unique(data["reasons"], "reason").items()}
    missing = [reason for reason in _REASONS if reason not in reasons]
    if missing:
        raise data.error(f"no reason for {', '.join(missing)}")
    for entry in _yaml.unique(data["advice"], "advice").values():
        for topic in entry["topics"]:
            if topic not in taxonomy.topics:
                raise entry.error(f"advice {entry['id']!r} names the unknown topic {topic!r}")
        for agency in entry["also"]:
            if agency not in taxonomy.agencies:
                raise entry.error(f"advice {entry['id']!r} names the unknown agency {agency!r}")
    for entry in _yaml.unique(data["boundaries"], "boundary").values():
        for case in entry["cases"]:
            if case["then"] not in taxonomy.topics:
                raise case.error(f"boundary {entry['id']!r} leads to the unknown topic {case['then']!r}")
    return _Rules(
        reasons,
        tuple(
            _Advice(
                entry["id"],
                frozenset(entry["topics"]),
                Phrases((fold_phrase(cue), entry["id"]) for cue in entry["cues"]) if entry["cues"] else None,
                entry["also"],
                entry["en"],
                entry["ar"],
            )
            for entry in data["advice"]
        ),
        tuple(
            Boundary(entry["id"], tuple((case["when"], case["then"]) for case in entry["cases"]))
            for entry in data["boundaries"]
        ),
    )


def _advice(topic: Topic, text: str, rules: _Rules) -> tuple[_Advice, ...]:
    entries = [entry for entry in rules.advice if topic.id in entry.topics]
    if not entries:
        return ()
    words = split_words(text)
    return tuple(entry for entry in entries if entry.cues is None or _says(words, entry.cues))


def _says(words: Words, cues: Phrases) -> bool:
    """Search for a cue, alone or after a particle; a short one after ب or ل is too often another word (بعضها)."""
    return any(
        cues.longest(reading, words.folded, index) is not None
        for index, word in enumerate(words.folded)
        for reading, particle in readings(word)
        if particle in ("", "و", "ف") or len(reading) >= _CUE_AFTER_PARTICLE
    )


def _resolve(taxonomy: Taxonomy, agency_id: str, governorate: str | None) -> str:
    """Resolve a group by the governorate, if it is known."""
    agency = taxonomy.agencies.get(agency_id)
    return agency.members.get(governorate or "", agency_id) if agency is not None else agency_id


def _reason(
    template: tuple[str, str], topic: Topic, agency: Agency, taxonomy: Taxonomy, governorate: str | None
) -> tuple[str, str]:
    where = taxonomy.governorates.get(governorate) if governorate else None
    english, arabic = template
    return (
        english.format(topic=topic.name_en, agency=agency.name_en, governorate=where.name_en if where else ""),
        arabic.format(topic=topic.name_ar, agency=agency.name_ar, governorate=where.name_ar if where else ""),
    )
