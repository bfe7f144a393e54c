"""Who receives a case: the agencies that its text names, and the one that its topic, its place and these lead to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tawasul_nlp.domain.pack import Domain
from tawasul_nlp.domain.places.lexicon import Phrases
from tawasul_nlp.domain.places.mentions import Places
from tawasul_nlp.domain.routing_rules import Advice, RoutingRules
from tawasul_nlp.domain.taxonomy import NO_AGENCY, Agency, Taxonomy, Topic
from tawasul_nlp.domain.words import SENTENCE_END, Words, fold_phrase, particle_length, readings, split_words
from tawasul_nlp.errors import checked_text

_CUE_AFTER_PARTICLE: Final = 5
PLACE: Final = "place"
"""The missing information of a municipal case without a place."""


@dataclass(frozen=True, slots=True)
class AgencyMention:
    """An agency that a text names; ``start:end`` is the name's slice of the original text."""

    id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Routing:
    """Who receives a case, and why."""

    agency_id: str  # the group's if it could not be resolved, ``none`` if no agency owns the topic
    group: str  # the label that a model learns for the topic: the agency, with municipalities as one group
    rule: str  # id of the rule that decided
    reason_en: str  # one sentence
    reason_ar: str
    needs: tuple[str, ...] = ()  # what is missing before the case can be sent, such as ``("place",)``
    also: tuple[str, ...] = ()  # ids of further agencies concerned, by advice rules or the text
    advice: tuple[str, ...] = ()  # ids of the advice rules that applied


def route(
    topic_id: str,
    places: Places | None = None,
    named_agencies: Iterable[str | AgencyMention] = (),
    text: str | None = None,
    domain: Domain | None = None,
) -> Routing:
    """Route a case.

    The recipient is the agency of the topic; a municipal topic goes to the municipality of the incident's place (in
    Bahrain its governorate), or, without a place, to the one municipality that the text addresses. A text that points
    equally to two places needs one. Rules on words of the text only add advice (``also``, ``advice``) and never change
    the recipient.

    Parameters
    ----------
    topic_id, places, named_agencies
        A topic of the taxonomy, and the results of ``find_places`` and ``find_named_agencies`` (or agencies' ids).
    text
        The original text, for the advice rules; None skips them.
    domain
        The pack with topics, agencies and rules; None is Bahrain's.

    Raises
    ------
    UnknownIdError
        If the topic or a named agency is not in the domain's taxonomy.

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
    domain, places = domain or Domain.bundled(), Places() if places is None else places
    taxonomy, rules = domain.taxonomy, domain.routing
    topic = taxonomy.topic(topic_id)
    owner = taxonomy.agency(topic.agency)
    where = _member_place(owner, places, domain)
    ids = (name.id if isinstance(name, AgencyMention) else name for name in named_agencies)
    named = tuple(dict.fromkeys(taxonomy.agency(agency_id).id for agency_id in ids))
    addressed = [name for name in named if name in owner.members.values()]
    # A text that points equally to several places is not decided by a name.
    is_torn = places.governorate is None and any(mention.strength == "strong" for mention in places.mentions)
    if not owner.members:
        recipient, rule = owner, "no_agency" if owner.id == NO_AGENCY else "topic_owner"
    elif where is not None:
        recipient, rule = taxonomy.agency(owner.members[where]), "municipality_by_place"
    elif len(addressed) == 1 and not is_torn:
        recipient, rule = taxonomy.agency(addressed[0]), "municipality_by_name"
    else:
        recipient, rule = owner, "municipality_without_place"
    advice = _advice(topic, text, rules) if text else ()
    concerned = [_resolve(agency, places, domain) for entry in advice for agency in entry.also]
    concerned += [name for name in named if name not in addressed]
    also = tuple(name for name in dict.fromkeys(concerned) if name != recipient.id and name in taxonomy.agencies)
    place = domain.gazetteer.governorates.get(where or "") or domain.gazetteer.places.get(where or "")
    name_en, name_ar = ("", "") if place is None else (place.name_en, place.name_ar)
    english, arabic = rules.reasons[rule]
    reason_en = english.format(topic=topic.name_en, agency=recipient.name_en, governorate=name_en)
    reason_ar = arabic.format(topic=topic.name_ar, agency=recipient.name_ar, governorate=name_ar)
    return Routing(
        agency_id=recipient.id,
        group=topic.agency,
        rule=rule,
        reason_en=" ".join([reason_en, *(entry.en for entry in advice)]),
        reason_ar=" ".join([reason_ar, *(entry.ar for entry in advice)]),
        needs=(PLACE,) if rule == "municipality_without_place" else (),
        also=also,
        advice=tuple(entry.id for entry in advice),
    )


def route_part(
    topic_id: str, text: str, part: slice, places: Places, named: Sequence[AgencyMention], domain: Domain
) -> Routing:
    """Route the issue that ``text[part]`` reports, by the agencies that it names, or else those of the whole text."""
    of_part = [mention for mention in named if part.start <= mention.start < part.stop]
    return route(topic_id, places, of_part or named, text=text[part], domain=domain)


def _advice(topic: Topic, text: str, rules: RoutingRules) -> tuple[Advice, ...]:
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


def _member_place(group: Agency, places: Places, domain: Domain) -> str | None:
    """Return the place by which a group has a member: a region, an area, or the town that an area is part of."""
    levels = domain.gazetteer.levels
    if group.by in (None, levels.region.id):
        return places.governorate if places.governorate in group.members else None
    area = places.area or ""
    return next((place for place in (area, domain.gazetteer.whole_of(area)) if place in group.members), None)


def _resolve(agency_id: str, places: Places, domain: Domain) -> str:
    agency = domain.taxonomy.agencies.get(agency_id)
    where = None if agency is None else _member_place(agency, places, domain)
    return agency_id if agency is None or where is None else agency.members[where]


def find_named_agencies(text: str, domain: Domain | None = None) -> tuple[AgencyMention, ...]:
    """Find the agencies that a text names by an official name, a former name, an abbreviation or an alias.

    Names that mean several agencies or are common nouns (``ambiguous_aliases`` of the data: "البلدية", "الهيئة") are
    ignored, and so are former names that two agencies share. The pack is Bahrain's if none is given.

    Raises
    ------
    InvalidTextError
        If ``text`` is not a str.

    Examples
    --------
    >>> [mention.id for mention in find_named_agencies("كلمت هيئة الكهرباء ووزارة الأشغال ومحد رد")]
    ['ewa', 'works']
    >>> find_named_agencies("وين البلدية؟")
    ()
    """
    text = checked_text(text)
    names = _mentioned((domain or Domain.bundled()).taxonomy)
    words = split_words(text)
    mentions: list[AgencyMention] = []
    unread = 0
    for index, word in enumerate(words.folded):
        if index < unread:
            continue
        for reading, _ in names.openings(word):
            match = names.longest(reading, words.folded, index)
            if match is None or any(
                words.separated(position, SENTENCE_END) for position in range(index, index + match[0] - 1)
            ):
                continue
            length, identifier = match
            start = words.after_prefix(index, particle_length(word, reading))
            mentions.append(AgencyMention(identifier, start, words.ends[index + length - 1]))
            unread = index + length
            break
    return tuple(mentions)


def agency_named(name: str, domain: Domain | None = None) -> str | None:
    """Return the id of the agency, or group of agencies, that a whole cell stands for.

    It may be an id, a code of another system, an official or former name, an abbreviation or an alias; spelling is
    folded. None for a name of no agency, or of several (``ambiguous_aliases`` of the data, if not meant in a cell).

    Examples
    --------
    >>> agency_named("وزارة الاشغال"), agency_named("EWA"), agency_named("البلدية"), agency_named("الهيئة")
    ('works', 'ewa', 'municipality', None)
    """
    taxonomy = (domain or Domain.bundled()).taxonomy
    written = checked_text(name).strip()
    if written in taxonomy.agencies:
        return written
    coded = taxonomy.agencies_by_code().get(written)
    return coded.id if coded is not None else _cell_names(taxonomy).get(fold_phrase(written))


@lru_cache(maxsize=8)
def _cell_names(taxonomy: Taxonomy) -> dict[tuple[str, ...], str]:
    others = (agency for agency in taxonomy.agencies.values() if agency.kind in ("none", "group"))
    names = {fold_phrase(name): agency.id for agency in others for name in (agency.name_ar, agency.name_en)}
    cells = {fold_phrase(alias): id for alias, id in taxonomy.ambiguous_aliases.items() if id is not None}
    return names | _owners(taxonomy) | cells


def likely_agencies(name: str, domain: Domain, most: int = 3) -> list[str]:
    """Return the agencies with a name that shares words with one that names none, those of the rarest words first.

    >>> likely_agencies("قسم فواتير الكهرباء", Domain.bundled())
    ['ewa']
    """
    names = _cell_names(domain.taxonomy)
    frequency = Counter(word for words in names for word in set(words))
    shared: dict[str, float] = {}
    for words, id in names.items():
        weight = sum(1 / frequency[word] for word in set(words) & set(fold_phrase(name)))
        shared[id] = max(shared.get(id, 0.0), weight)
    return sorted(filter(shared.get, shared), key=lambda id: -shared[id])[:most]


@lru_cache(maxsize=8)
def _mentioned(taxonomy: Taxonomy) -> Phrases:
    return Phrases(_owners(taxonomy).items())


def _owners(taxonomy: Taxonomy) -> dict[tuple[str, ...], str]:
    """Collect the unambiguous names; official names override former ones, and shared former names are dropped."""
    barred = {fold_phrase(alias) for alias in taxonomy.ambiguous_aliases}
    owners: dict[tuple[str, ...], str] = {}
    former: dict[tuple[str, ...], set[str]] = {}
    for agency in taxonomy.agencies.values():
        if agency.kind in ("none", "group"):
            continue
        abbreviation = (agency.abbreviation,) if agency.abbreviation else ()
        for name in (agency.name_ar, agency.name_en, *agency.aliases_ar, *agency.aliases_en, *abbreviation):
            owners.setdefault(fold_phrase(name), agency.id)
        for name in agency.former_names:
            former.setdefault(fold_phrase(name), set()).add(agency.id)
    for words, identifiers in former.items():
        if len(identifiers) == 1:
            owners.setdefault(words, next(iter(identifiers)))
    return {words: identifier for words, identifier in owners.items() if words not in barred}
