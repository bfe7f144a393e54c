"""Kinds, topics, agencies and governorates, loaded from checked YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from typing import Final, TypeVar

from tawasul_nlp import _yaml
from tawasul_nlp._packs import default_file
from tawasul_nlp.domain.places.gazetteer import Gazetteer, Governorate, read_gazetteer
from tawasul_nlp.domain.places.levels import Named
from tawasul_nlp.errors import TawasulError

NO_AGENCY: Final = "none"
"""The agency of texts that no agency owns."""

EMERGENCY: Final = "emergency"
"""The urgency of danger to life or limb."""
NORMAL: Final = "normal"
"""The urgency of what can wait."""
URGENCIES: Final = (EMERGENCY, "urgent", NORMAL)
"""The levels of urgency, the most pressing first."""
_Entry = TypeVar("_Entry")


class UnknownIdError(TawasulError, ValueError):
    """An unknown id; the message suggests similar ones."""


@dataclass(frozen=True, slots=True)
class Kind(Named):
    """What a citizen wants with a case: complaint, suggestion, inquiry or praise."""


@dataclass(frozen=True, slots=True)
class UrgencyLevel(Named):
    """How soon somebody must act on a case: ``emergency``, ``urgent`` or ``normal``."""


@dataclass(frozen=True, slots=True)
class Topic(Named):
    """What a case is about, and the agency (or the group of agencies) that owns it."""

    agency: str
    # After so many days without a report, what it tells of is over; None for as many as the taxonomy says.
    horizon_days: int | None = None
    terms_msa: tuple[str, ...] = ()
    terms_dialect: tuple[str, ...] = ()
    confusable_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Agency(Named):
    """A body that cases are routed to.

    Where the id names a group, ``members`` maps places to its agencies, and ``by`` is the level of these places.
    ``codes`` are ids of the agency in other systems.
    """

    kind: str
    abbreviation: str | None = None
    parent: str | None = None
    aliases_ar: tuple[str, ...] = ()
    aliases_en: tuple[str, ...] = ()
    former_names: tuple[str, ...] = ()
    scope: str = ""
    members: Mapping[str, str] = field(default_factory=dict, hash=False)
    by: str | None = None
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Taxonomy:
    """The kinds, topics, agencies and places that a case can be labelled with, by id, in the order of the files.

    Examples
    --------
    >>> from tawasul_nlp.domain import Domain
    >>> taxonomy = Domain.bundled().taxonomy
    >>> len(taxonomy.topics), taxonomy.topic("sewage_overflow").agency
    (104, 'works')
    >>> taxonomy.agency_group("waste_collection"), taxonomy.agency_group("out_of_scope")
    ('municipality', 'none')
    """

    kinds: Mapping[str, Kind]
    topics: Mapping[str, Topic]
    agencies: Mapping[str, Agency]  # groups (``municipality``) and ``none`` too
    governorates: Mapping[str, Governorate]
    urgencies: Mapping[str, UrgencyLevel]
    # Names that mean several agencies or are common nouns; in a text they never name an agency by themselves. Each has
    # the agency that it stands for as a whole cell, if any.
    ambiguous_aliases: Mapping[str, str | None]
    gazetteer: Gazetteer
    # That of topics without one.
    horizon_days: int = 60

    def kind(self, kind_id: str) -> Kind:
        """Return a kind by id; an unknown id raises UnknownIdError."""
        return _find(self.kinds, kind_id, "kind")

    def topic(self, topic_id: str) -> Topic:
        """Return a topic by id; an unknown id raises UnknownIdError.

        Examples
        --------
        >>> from tawasul_nlp.domain import Domain
        >>> Domain.bundled().taxonomy.topic("sewage_overflo")
        Traceback (most recent call last):
            ...
        tawasul_nlp.domain.taxonomy.UnknownIdError: unknown topic id 'sewage_overflo'; did you mean ...
        """
        return _find(self.topics, topic_id, "topic")

    def agency(self, agency_id: str) -> Agency:
        """Return an agency or a group of agencies by id; an unknown id raises UnknownIdError."""
        return _find(self.agencies, agency_id, "agency")

    def governorate(self, governorate_id: str) -> Governorate:
        """Return a governorate by id; an unknown id raises UnknownIdError."""
        return _find(self.governorates, governorate_id, "governorate")

    def labels_of(self, task: str) -> Mapping[str, Kind | Topic | Agency | UrgencyLevel]:
        """Return the labels of a task by id; none for a task that the taxonomy does not know.

        Examples
        --------
        >>> from tawasul_nlp.domain import Domain
        >>> taxonomy = Domain.bundled().taxonomy
        >>> taxonomy.labels_of("kind")["praise"].name_ar, len(taxonomy.labels_of("dept"))
        ('شكر وثناء', 0)
        """
        by_task: dict[str, Mapping[str, Kind | Topic | Agency | UrgencyLevel]] = {
            "kind": self.kinds,
            "topic": self.topics,
            "agency": self.agencies,
            "urgency": self.urgencies,
        }
        return by_task.get(task, {})

    def agency_group(self, topic_id: str) -> str:
        """Return the agency label that a model learns for a topic: its owner, with municipalities as one group."""
        return self.topic(topic_id).agency

    def agencies_by_code(self) -> dict[str, Agency]:
        """Return the agencies by the ids that they have in other systems."""
        return _by_code(self.agencies)

    def agency_groups(self) -> tuple[str, ...]:
        """Return all labels that ``agency_group`` can return, sorted."""
        return tuple(sorted({topic.agency for topic in self.topics.values()}))


def _find(entries: Mapping[str, _Entry], identifier: str, what: str) -> _Entry:
    try:
        return entries[identifier]
    except (KeyError, TypeError):
        near = get_close_matches(str(identifier), entries, n=3, cutoff=0.4)
        count = f"the {len(entries)} known ids begin with {next(iter(entries), None)!r}"
        hint = f"did you mean {', '.join(map(repr, near))}?" if near else count
        raise UnknownIdError(f"unknown {what} id {identifier!r}; {hint}") from None


@lru_cache(maxsize=8)
def read_taxonomy(taxonomy_file: _yaml.File, agencies_file: _yaml.File, gazetteer_file: _yaml.File) -> Taxonomy:
    """Check a taxonomy, its agencies and its gazetteer; DataError names the file and the line that is wrong."""
    gazetteer = read_gazetteer(gazetteer_file)
    agency_data = _yaml.read(agencies_file, _yaml.schema_of("agencies"))
    agencies = _agencies(agency_data, gazetteer)
    data = _yaml.read(taxonomy_file, _yaml.schema_of("taxonomy"))
    for entry in (data, *data["topics"]):
        if entry["horizon_days"] is not None and entry["horizon_days"] < 1:
            raise entry.error(f"horizon_days is {entry['horizon_days']}, expected at least 1")
    return data.into(
        Taxonomy,
        kinds={key: entry.into(Kind) for key, entry in _yaml.unique(data["kinds"], "kind").items()},
        topics=_topics(data, agencies),
        agencies=agencies,
        governorates=gazetteer.governorates,
        urgencies=_urgencies(data),
        ambiguous_aliases={entry["alias"]: entry["in_a_cell"] for entry in agency_data["ambiguous_aliases"]},
        gazetteer=gazetteer,
    )


def _urgencies(data: _yaml.Record) -> dict[str, UrgencyLevel]:
    named = data["urgencies"] or _yaml.read(default_file("taxonomy.yaml"), _yaml.schema_of("taxonomy"))["urgencies"]
    entries = _yaml.unique(named, "urgency")
    missing = [level for level in URGENCIES if level not in entries]
    if missing:
        raise data.error(f"the urgencies lack {', '.join(missing)}; name all of {', '.join(URGENCIES)}, or none")
    return {level: entries[level].into(UrgencyLevel) for level in URGENCIES}


def _agencies(data: _yaml.Record, gazetteer: Gazetteer) -> dict[str, Agency]:
    agencies = {NO_AGENCY: Agency(NO_AGENCY, "لا جهة", "No agency", "none")}
    for key, entry in _yaml.unique(data["agencies"], "agency").items():
        former = tuple(name for old in entry["former_names"] for name in (old["name_ar"], old["name_en"]))
        agencies[key] = entry.into(Agency, former_names=former)
    for entry in data["agencies"]:
        if entry["parent"] is not None and entry["parent"] not in agencies:
            raise entry.error(f"agency {entry['id']!r} has the unknown parent {entry['parent']!r}")
    for key, entry in _yaml.unique(data["groups"], "group").items():
        if key in agencies:
            raise entry.error(f"group id {key!r} is already an agency's; choose another")
        by, places = _members_by(entry, gazetteer)
        for place, member in entry["members"].items():
            if place not in places or member not in agencies:
                raise entry.error(f"group {key!r}: {place}: {member} names an unknown {by} or agency")
        agencies[key] = entry.into(Agency, kind="group", by=by)
    _check_codes(data, agencies)
    return agencies


def _members_by(group: _yaml.Record, gazetteer: Gazetteer) -> tuple[str, Mapping[str, object]]:
    region, area = gazetteer.levels.region.id, gazetteer.levels.area.id
    by = group["by"] or region
    if by == region:
        return by, gazetteer.governorates
    if by == area:
        return by, {key: place for key, place in gazetteer.places.items() if place.is_area}
    raise group.error(f"group {group['id']!r} has members by {by!r}, expected {region!r} or {area!r}")


def _check_codes(data: _yaml.Record, agencies: Mapping[str, Agency]) -> None:
    """Raise DataError if a code stands for two agencies, or is the id of another one."""
    of_code: dict[str, str] = {}
    for entry in (*data["agencies"], *data["groups"]):
        for code in entry["codes"]:
            if code in agencies or of_code.setdefault(code, entry["id"]) != entry["id"]:
                other = code if code in agencies else of_code[code]
                raise entry.error(f"the code {code!r} of {entry['id']!r} already stands for {other!r}")


def _by_code(agencies: Mapping[str, Agency]) -> dict[str, Agency]:
    return {code: agency for agency in agencies.values() for code in agency.codes}


def _topics(data: _yaml.Record, agencies: Mapping[str, Agency]) -> dict[str, Topic]:
    entries = _yaml.unique(data["topics"], "topic")
    owners = {**_by_code(agencies), **agencies}
    for key, entry in entries.items():
        if entry["agency"] not in owners:
            near = get_close_matches(entry["agency"], agencies, n=3) or list(agencies)
            raise entry.error(f"topic {key!r} has the unknown agency {entry['agency']!r}; known: {', '.join(near)}")
        for other in entry["confusable_with"]:
            if other not in entries:
                raise entry.error(f"topic {key!r} is confusable with the unknown topic {other!r}")
    return {key: entry.into(Topic, agency=owners[entry["agency"]].id) for key, entry in entries.items()}
