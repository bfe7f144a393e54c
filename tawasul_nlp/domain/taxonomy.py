"""Kinds, topics, agencies and governorates, loaded from checked YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, NoReturn, TypeVar

from tawasul_nlp import _yaml
from tawasul_nlp.domain.gazetteer import DATA, Gazetteer, Governorate
from tawasul_nlp.errors import TawasulError

NO_AGENCY: Final = "none"
"""The agency of texts that no agency owns."""

_FILES: Final = ("taxonomy", "agencies", "gazetteer")
Priority = Literal["normal", "high", "urgent"]
_Entry = TypeVar("_Entry")


class UnknownIdError(TawasulError, ValueError):
    """An unknown id; the message suggests similar ones."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a citizen wants with a case: complaint, suggestion, inquiry or praise."""

    id: str
    name_ar: str
    name_en: str


@dataclass(frozen=True, slots=True)
class Topic:
    """What a case is about, and the agency (or the group of agencies) that owns it."""

    id: str
    name_ar: str
    name_en: str
    agency: str
    priority: Priority = "normal"
    terms_msa: tuple[str, ...] = ()
    terms_dialect: tuple[str, ...] = ()
    confusable_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Agency:
    """A body that cases are routed to; ``members`` maps governorates to agencies where the id names a group."""

    id: str
    name_ar: str
    name_en: str
    kind: str
    abbreviation: str | None = None
    parent: str | None = None
    aliases_ar: tuple[str, ...] = ()
    aliases_en: tuple[str, ...] = ()
    former_names: tuple[str, ...] = ()
    scope: str = ""
    members: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, eq=False)
class Taxonomy:
    """The kinds, topics, agencies and places that a case can be labelled with.

    Attributes
    ----------
    kinds, topics, agencies, governorates
        Entries by id, in the order of the files. Agencies include groups (``municipality``) and ``none``.
    ambiguous_aliases
        Names that mean several agencies or are common nouns; they never name an agency by themselves.
    gazetteer
        Its places, for ``find_places``.

    Examples
    --------
    >>> taxonomy = Taxonomy.load()
    >>> len(taxonomy.topics), taxonomy.topic("sewage_overflow").agency
    (104, 'works')
    >>> taxonomy.agency_group("waste_collection"), taxonomy.agency_group("out_of_scope")
    ('municipality', 'none')
    """

    kinds: Mapping[str, Kind]
    topics: Mapping[str, Topic]
    agencies: Mapping[str, Agency]
    governorates: Mapping[str, Governorate]
    ambiguous_aliases: Mapping[str, str] = field(default_factory=dict)
    gazetteer: Gazetteer = field(default_factory=Gazetteer.load)

    @staticmethod
    def load(path: str | Path | None = None) -> Taxonomy:
        """Load a taxonomy; a file is read and checked again only if it changed.

        Parameters
        ----------
        path
            None for the bundled taxonomy; a file with kinds and topics; or a folder with any of ``taxonomy.yaml``,
            ``agencies.yaml`` and ``gazetteer.yaml`` (the bundled file stands in for a missing one). A classifier with
            this taxonomy finds the places of that gazetteer; duplicates and the report know the bundled one alone.

        Raises
        ------
        DataError
            If a file does not follow its schema or names an id that does not exist; the message begins ``file:line:``.
        FileNotFoundError
            If ``path`` does not exist, or is a folder with none of the three files.
        """
        if path is None:
            return _bundled()
        files = {name: DATA / f"{name}.yaml" for name in _FILES}
        given = Path(path)
        if given.is_dir():
            own = {name: given / f"{name}.yaml" for name in files if (given / f"{name}.yaml").is_file()}
            if not own:
                raise FileNotFoundError(f"{given} has none of {', '.join(f'{name}.yaml' for name in files)}")
            files |= own
        else:
            files["taxonomy"] = given
        return _load(*(_yaml.Version.of(files[name]) for name in _FILES))

    def kind(self, kind_id: str) -> Kind:
        """Return a kind by id; an unknown id raises UnknownIdError."""
        return _find(self.kinds, kind_id, "kind")

    def topic(self, topic_id: str) -> Topic:
        """Return a topic by id; an unknown id raises UnknownIdError.

        Examples
        --------
        >>> Taxonomy.load().topic("sewage_overflo")
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

    def agency_group(self, topic_id: str) -> str:
        """Return the agency label that a model learns for a topic: its owner, with municipalities as one group."""
        return self.topic(topic_id).agency

    def agency_groups(self) -> tuple[str, ...]:
        """Return all labels that ``agency_group`` can return, sorted."""
        return tuple(sorted({topic.agency for topic in self.topics.values()}))


def _find(entries: Mapping[str, _Entry], wanted: str, what: str) -> _Entry:
    try:
        return entries[wanted]
    except (KeyError, TypeError):
        _unknown(entries, wanted, what)


def _unknown(entries: Mapping[str, object], wanted: object, what: str) -> NoReturn:
    near = get_close_matches(str(wanted), entries, n=3, cutoff=0.4)
    count = f"the {len(entries)} known ids begin with {next(iter(entries), None)!r}"
    hint = f"did you mean {', '.join(map(repr, near))}?" if near else count
    raise UnknownIdError(f"unknown {what} id {wanted!r}; {hint}")


_TEXTS: Final = (_yaml.list_of(_yaml.text), ())
_NAMED: Final = {"id": _yaml.identifier, "name_ar": _yaml.text, "name_en": _yaml.text}
_TAXONOMY_SCHEMA: Final = _yaml.record(
    {
        "version": _yaml.text,
        "kinds": _yaml.list_of(_yaml.record(_NAMED)),
        "topics": _yaml.list_of(
            _yaml.record(
                {**_NAMED, "agency": _yaml.identifier},
                {
                    "priority": (_yaml.one_of("normal", "high", "urgent"), "normal"),
                    "terms_msa": _TEXTS,
                    "terms_dialect": _TEXTS,
                    "confusable_with": (_yaml.list_of(_yaml.identifier), ()),
                },
            )
        ),
    },
    {"priority_cues": (_yaml.record({"urgent": _TEXTS[0]}), None)},
)
_AGENCIES_SCHEMA: Final = _yaml.record(
    {
        "version": _yaml.text,
        "groups": _yaml.list_of(_yaml.record({**_NAMED, "members": _yaml.mapping_of(_yaml.identifier)})),
        "ambiguous_aliases": _yaml.list_of(_yaml.record({"alias": _yaml.text, "means": _yaml.text})),
        "agencies": _yaml.list_of(
            _yaml.record(
                {
                    **_NAMED,
                    "kind": _yaml.one_of("municipality", "ministry", "authority", "directorate", "governorate"),
                    "tier": _yaml.integer,
                    "scope": _yaml.text,
                },
                {
                    "abbreviation": (_yaml.text, None),
                    "parent": (_yaml.identifier, None),
                    "aliases_ar": _TEXTS,
                    "aliases_en": _TEXTS,
                    "former_names": (
                        _yaml.list_of(_yaml.record({"name_ar": _yaml.text, "name_en": _yaml.text, "when": _yaml.text})),
                        (),
                    ),
                    "note": (_yaml.text, None),
                },
            )
        ),
    }
)


@lru_cache(maxsize=1)
def _bundled() -> Taxonomy:
    return _load(*(_yaml.Version.of(DATA / f"{name}.yaml") for name in _FILES))


@lru_cache(maxsize=8)
def _load(taxonomy_file: _yaml.Version, agencies_file: _yaml.Version, gazetteer_file: _yaml.Version) -> Taxonomy:
    gazetteer = Gazetteer.load(gazetteer_file.path)
    governorates = gazetteer.governorates
    agency_data = _yaml.read(agencies_file.path, _AGENCIES_SCHEMA)
    agencies = {NO_AGENCY: Agency(NO_AGENCY, "لا جهة", "No agency", "none")}
    for key, entry in _yaml.unique(agency_data["agencies"], "agency").items():
        former = tuple(name for old in entry["former_names"] for name in (old["name_ar"], old["name_en"]))
        agencies[key] = Agency(
            key,
            entry["name_ar"],
            entry["name_en"],
            entry["kind"],
            entry["abbreviation"],
            entry["parent"],
            entry["aliases_ar"],
            entry["aliases_en"],
            former,
            entry["scope"],
        )
    for entry in agency_data["agencies"]:
        if entry["parent"] is not None and entry["parent"] not in agencies:
            raise entry.error(f"agency {entry['id']!r} has the unknown parent {entry['parent']!r}")
    for key, entry in _yaml.unique(agency_data["groups"], "group").items():
        for governorate, member in entry["members"].items():
            if governorate not in governorates or member not in agencies:
                raise entry.error(f"group {key!r}: {governorate}: {member} names an unknown governorate or agency")
        agencies[key] = Agency(key, entry["name_ar"], entry["name_en"], "group", members=entry["members"])

    data = _yaml.read(taxonomy_file.path, _TAXONOMY_SCHEMA)
    topic_entries = _yaml.unique(data["topics"], "topic")
    for key, entry in topic_entries.items():
        if entry["agency"] not in agencies:
            near = get_close_matches(entry["agency"], agencies, n=3) or list(agencies)
            raise entry.error(f"topic {key!r} has the unknown agency {entry['agency']!r}; known: {', '.join(near)}")
        for other in entry["confusable_with"]:
            if other not in topic_entries:
                raise entry.error(f"topic {key!r} is confusable with the unknown topic {other!r}")
    return Taxonomy(
        kinds={key: Kind(key, e["name_ar"], e["name_en"]) for key, e in _yaml.unique(data["kinds"], "kind").items()},
        topics={
            key: Topic(
                key,
                entry["name_ar"],
                entry["name_en"],
                entry["agency"],
                entry["priority"],
                entry["terms_msa"],
                entry["terms_dialect"],
                entry["confusable_with"],
            )
            for key, entry in topic_entries.items()
        },
        agencies=agencies,
        governorates=governorates,
        ambiguous_aliases={entry["alias"]: entry["means"] for entry in agency_data["ambiguous_aliases"]},
        gazetteer=gazetteer,
    )
