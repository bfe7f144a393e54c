"""Route a case to one recipient, with a reason, by its topic, places and named agencies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tawasul_nlp.domain.agencies import AgencyMention
from tawasul_nlp.domain.pack import Domain
from tawasul_nlp.domain.places.gazetteer import Places
from tawasul_nlp.domain.places.lexicon import Phrases
from tawasul_nlp.domain.routing_rules import Advice, Boundary, RoutingRules
from tawasul_nlp.domain.taxonomy import NO_AGENCY, Agency, Topic
from tawasul_nlp.domain.words import Words, readings, split_words

_CUE_AFTER_PARTICLE: Final = 5
PLACE: Final = "place"
"""The missing information of a municipal case without a place."""


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
    domain = domain or Domain.bundled()
    taxonomy, rules = domain.taxonomy, domain.routing
    topic = taxonomy.topic(topic_id)
    owner = taxonomy.agency(topic.agency)
    where = None if places is None else _member_place(owner, places, domain)
    ids = (name.id if isinstance(name, AgencyMention) else name for name in named_agencies)
    named = tuple(dict.fromkeys(taxonomy.agency(agency_id).id for agency_id in ids))
    needs: tuple[str, ...] = ()
    if owner.id == NO_AGENCY:
        recipient, rule = owner, "no_agency"
    elif not owner.members:
        recipient, rule = owner, "topic_owner"
    elif where is not None:
        recipient, rule = taxonomy.agency(owner.members[where]), "municipality_by_place"
    else:
        addressed = [name for name in named if name in owner.members.values()]
        if len(addressed) == 1 and not _is_torn(places):
            recipient, rule = taxonomy.agency(addressed[0]), "municipality_by_name"
        else:
            recipient, rule, needs = owner, "municipality_without_place", (PLACE,)

    advice = _advice(topic, text, rules) if text else ()
    concerned = [_resolve(agency, places, domain) for entry in advice for agency in entry.also]
    concerned += [name for name in named if name not in owner.members.values()]
    also = tuple(name for name in dict.fromkeys(concerned) if name != recipient.id and name in taxonomy.agencies)
    reason_en, reason_ar = _reason(rules.reasons[rule], topic, recipient, _names_of(where, domain))
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


def route_part(
    topic_id: str, text: str, part: slice, places: Places, named: Sequence[AgencyMention], domain: Domain
) -> Routing:
    """Route the issue that ``text[part]`` reports, by the agencies that it names, or else those of the whole text."""
    of_part = [mention for mention in named if part.start <= mention.start < part.stop]
    return route(topic_id, places, of_part or named, text=text[part], domain=domain)


def _is_torn(places: Places | None) -> bool:
    """Return whether a text points equally to several governorates."""
    return places is not None and places.governorate is None and any(m.strength == "strong" for m in places.mentions)


def boundaries(topic_id: str | None = None, domain: Domain | None = None) -> tuple[Boundary, ...]:
    """Return the boundaries between topics; with a topic, those that lead to it.

    Examples
    --------
    >>> [boundary.id for boundary in boundaries("water_leak")]
    ['R04']
    """
    return tuple(
        boundary
        for boundary in (domain or Domain.bundled()).routing.boundaries
        if topic_id is None or any(topic == topic_id for _, topic in boundary.cases)
    )


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


def _resolve(agency_id: str, places: Places | None, domain: Domain) -> str:
    """Resolve a group by the place, if it is known."""
    agency = domain.taxonomy.agencies.get(agency_id)
    where = None if agency is None or places is None else _member_place(agency, places, domain)
    return agency_id if agency is None or where is None else agency.members[where]


def _names_of(where: str | None, domain: Domain) -> tuple[str, str]:
    """Return the English and the Arabic name of a region or an area; empty for none."""
    gazetteer = domain.gazetteer
    place = gazetteer.governorates.get(where or "") or gazetteer.places.get(where or "")
    return ("", "") if place is None else (place.name_en, place.name_ar)


def _reason(template: tuple[str, str], topic: Topic, agency: Agency, where: tuple[str, str]) -> tuple[str, str]:
    english, arabic = template
    return (
        english.format(topic=topic.name_en, agency=agency.name_en, governorate=where[0]),
        arabic.format(topic=topic.name_ar, agency=agency.name_ar, governorate=where[1]),
    )
