"""Labels as people read and write them, and what a corrected one changes: its case, and what a model learns from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from typing import Any

from tawasul_nlp.domain import Domain, Places, find_places
from tawasul_nlp.domain.routing import agency_named, find_named_agencies, likely_agencies, route
from tawasul_nlp.model.label_sets import join_labels, split_labels
from tawasul_nlp.tables.classified import ClassifiedCase, ClassifiedTable, listed
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.cells import to_name, unescaped
from tawasul_nlp.text import normalize

_TOPIC, _AGENCY = "topic", "agency"
_ISSUES, _OTHER_TOPICS, _OTHER_AGENCIES = "issues", "other_topics", "other_agencies"
_PLACE_NEEDED = "place_needed"
_QUOTED_CHARS = 40


class LabelNames:
    """The labels that a task may have, by their names: Arabic ones where the domain has such.

    With ``several``, a case may have several of them.

    >>> names = LabelNames("kind", ["complaint", "praise"], Domain.bundled())
    >>> names.name("praise"), names.find("شكوى"), names.find("Praise"), names.find("praise")
    ('شكر وثناء', 'complaint', 'praise', 'praise')
    """

    def __init__(self, task: str, ids: Iterable[str], domain: Domain, *, several: bool = False) -> None:
        self.ids = tuple(ids)
        self._task = task
        self._domain = domain
        self._several = several
        of_domain = domain.taxonomy.labels_of(task)
        arabic = {id: of_domain[id].name_ar if id in of_domain else id for id in self.ids}
        shared = {name for name in arabic.values() if list(arabic.values()).count(name) > 1}
        self._names = {id: id if name in shared else name for id, name in arabic.items()}
        self._ids = {_folded(of_domain[id].name_en): id for id in self.ids if id in of_domain}
        self._ids |= {_folded(name): id for id, name in self._names.items()}
        self._ids |= {_folded(id): id for id in self.ids}

    def name(self, cell: str) -> str:
        """Return the name of the label in a cell, or the names of several."""
        if self._several:
            return join_labels(map(self._name, split_labels(cell)))
        return self._name(cell)

    def _name(self, id: str) -> str:
        return self._names.get(id, id)

    def find(self, written: str) -> str:
        """Return the label that a person wrote by its id or name, of several their sorted cell, or say the nearest."""
        if self._several:
            return join_labels(sorted(map(self._find, split_labels(written))))
        return self._find(written)

    def _find(self, written: str) -> str:
        id = self._ids.get(_folded(written))
        if id is None and self._task == _AGENCY:
            agency = agency_named(written, self._domain)
            id = agency if agency in self.ids else None
        if id is None:
            near = [self._ids[name] for name in get_close_matches(_folded(written), self._ids, n=3, cutoff=0.6)]
            if self._task == _AGENCY:
                near = [id for id in likely_agencies(written, self._domain) if id in self.ids] or near
            hint = f"; did you mean {', '.join(repr(self._name(id)) for id in near)}?" if near else ""
            quoted = repr(written) if len(written) <= _QUOTED_CHARS else f"a text of {len(written)} characters"
            raise ValueError(f"{quoted} is no {self._task}{hint}")
        return id


class SeenLabels:
    """The labels of each task that a table has, as answers or as the next likeliest ones."""

    def __init__(self, table: ClassifiedTable) -> None:
        self._table = table
        self._labels: dict[str, set[str]] = {task: set() for task in table.tasks}

    def add(self, case: ClassifiedCase) -> None:
        """Add those of a case."""
        for task, cell in case.labels.items():
            alternatives = case.record.get(self._table.column(f"{task}_alternatives"))
            self._labels[task] |= {*split_labels(cell), *_alternatives(alternatives)}

    def names(self) -> dict[str, LabelNames]:
        """Return the labels that a person may choose for each task.

        They are those of the domain if all that the table has are among them; else those that the table has.
        """
        names, domain = {}, self._table.domain
        for task, labels in self._labels.items():
            of_domain = domain.taxonomy.labels_of(task)
            ids = list(of_domain) if labels <= of_domain.keys() else sorted(labels)
            if not ids:
                raise TableError(f"{self._table.path} has no label of the task {task!r}, so there is none to choose")
            names[task] = LabelNames(task, ids, domain, several=task in self._table.multi_label)
        return names


def _alternatives(value: Any) -> set[str]:
    if isinstance(value, list | tuple):
        return {str(item["id"]) for item in value}
    parts = (part.strip() for part in str(value or "").split(";"))
    return {part.rpartition("=")[0] for part in parts if "=" in part}


def _folded(name: str) -> str:
    return normalize(name, profile="matching").casefold().strip() or name.strip().casefold()


@dataclass(frozen=True, slots=True)
class CorrectedCase:
    """A case that a person looked at."""

    # As the model answered it.
    case: ClassifiedCase
    # For each task, what holds now.
    labels: Mapping[str, str]
    # Whether the case, or another issue of it, cannot be sent before somebody knows its place.
    place_needed: bool = False
    # Whether the agency was corrected to one that does not own the topic, so that the topic is doubtful.
    topic_unknown: bool = False

    @property
    def changed(self) -> tuple[str, ...]:
        """The tasks whose label is another than the model's."""
        return tuple(task for task, label in self.labels.items() if label != self.case.labels[task])


def corrected(case: ClassifiedCase, written: Mapping[str, str], table: ClassifiedTable) -> CorrectedCase:
    """Return a case with the labels that a person wrote; another topic routes it again, if the agency is the same.

    Tools send back what they suggested, so an agency that is the model's was not corrected.
    """
    labels, before, taxonomy = {**case.labels, **written}, case.labels, table.domain.taxonomy
    if _AGENCY not in labels or labels.get(_TOPIC) not in taxonomy.topics:
        return CorrectedCase(case, labels)
    same_topic, same_agency = (labels[task] == before[task] for task in (_TOPIC, _AGENCY))
    if same_agency and not same_topic:
        labels[_AGENCY] = _recipient(case, labels[_TOPIC], table)
    topic, agency = labels[_TOPIC], labels[_AGENCY]
    owns_topic = taxonomy.topic(topic).agency in (agency, group_of(agency, table.domain))
    recipients = (agency, *issue_cells(case, table, topic, agency)[_OTHER_AGENCIES])
    return CorrectedCase(
        case,
        labels,
        place_needed=any(id in taxonomy.agencies and taxonomy.agency(id).members for id in recipients),
        topic_unknown=same_topic and not same_agency and not owns_topic,
    )


def _recipient(case: ClassifiedCase, topic: str, table: ClassifiedTable) -> str:
    """Return the agency of a topic: that of the case's issue with this topic, whose clause decided, or by the text."""
    of_issue = next((issue.agency for issue in issues_of(case, table) if issue.topic == topic), None)
    if of_issue is not None:
        return of_issue
    domain = table.domain
    places = _places(case, table)
    return route(topic, places, find_named_agencies(case.text, domain), case.text, domain).agency_id


def _places(case: ClassifiedCase, table: ClassifiedTable) -> Places:
    """Return the places of the text, in the region that the table has for the case, which may be from a column."""
    domain = table.domain
    region = to_name(case.record.get(table.column(domain.gazetteer.levels.region.column)))
    places = find_places(case.text, domain)
    return replace(places, governorate=region) if region in domain.taxonomy.governorates else places


@dataclass(frozen=True, slots=True)
class CaseIssue:
    """An issue as the table has it: ``start:end`` is the clause of the text that reports it."""

    topic: str
    agency: str
    probability: float
    start: int
    end: int


def issues_of(case: ClassifiedCase, table: ClassifiedTable) -> tuple[CaseIssue, ...]:
    """Return the issues of a case, the main one first; none if the table does not have them."""
    if not (table.has(_ISSUES) and table.has(_OTHER_TOPICS)):  # alone, the column may be the table's own
        return ()
    cell = case.record.get(table.column(_ISSUES))
    try:
        issues = json.loads(cell or "[]") if isinstance(cell, str) else cell or []
        return tuple(CaseIssue(**issue) for issue in issues)
    except (ValueError, TypeError):
        raise TableError(
            f"row {case.row} of {table.path} has a cell {table.column(_ISSUES)!r} that tawasul classify did not write; "
            "put it back, or take the column out"
        ) from None


def with_main(issues: Sequence[CaseIssue], topic: str, agency: str) -> tuple[CaseIssue, ...]:
    """Return a case's issues with another topic or agency of the main one.

    The clause that was read as the new topic becomes the main one's; without such a clause, the main one's was misread.

    >>> model = [CaseIssue("road_damage", "works", 0.6, 0, 9), CaseIssue("water_leak", "ewa", 0.5, 9, 20)]
    >>> with_main(model, "water_leak", "ewa")
    (CaseIssue(topic='water_leak', agency='ewa', probability=1.0, start=9, end=20),)
    """
    main = next((issue for issue in issues if issue.topic == topic), issues[0])
    probability = main.probability if topic == issues[0].topic else 1.0
    others = (issue for issue in issues[1:] if issue.topic != topic)
    return (replace(main, topic=topic, agency=agency, probability=probability), *others)


def issue_cells(case: ClassifiedCase, table: ClassifiedTable, topic: str, agency: str) -> dict[str, list[Any]]:
    """Return the columns of a case's issues, given the topic and agency of the main one.

    Where somebody took the column ``issues`` out, the others only lose what the main one is now.
    """
    issues = issues_of(case, table)
    if not issues:
        return {
            name: [other for other in listed(case.record.get(table.column(name))) if other != main]
            for name, main in ((_OTHER_TOPICS, topic), (_OTHER_AGENCIES, agency))
        }
    main, *others = with_main(issues, topic, agency)
    return {
        _ISSUES: [asdict(main), *map(asdict, others)],
        _OTHER_TOPICS: [issue.topic for issue in others],
        _OTHER_AGENCIES: list(dict.fromkeys(issue.agency for issue in others if issue.agency != agency)),
    }


def cells_of(corrected: CorrectedCase, table: ClassifiedTable, names: Mapping[str, LabelNames]) -> dict[str, Any]:
    """Return the cells of the table that change: a person's label has probability 1, and the case needs no review."""
    cells: dict[str, Any] = {}
    labels, changed = corrected.labels, corrected.changed
    for task in changed:
        label = labels[task]
        several = split_labels(label) if task in table.multi_label else None
        cells[task] = label if several is None else several
        cells[f"{task}_name_ar"] = names[task].name(label)
        cells[f"{task}_probability"] = 1.0
        cells[f"{task}_probabilities"] = (1.0,) * len(several or ())
    if _TOPIC in labels and _AGENCY in labels and {_TOPIC, _AGENCY} & set(changed):
        cells |= issue_cells(corrected.case, table, labels[_TOPIC], labels[_AGENCY])
    cells["needs_review"] = corrected.place_needed
    cells["review_reasons"] = [_PLACE_NEEDED] if corrected.place_needed else []
    return {table.column(name): value for name, value in cells.items() if table.has(name)}


def lesson_of(corrected: CorrectedCase, domain: Domain) -> dict[str, str]:
    """Return a row that a model learns from: the text and its labels, of an agency in a group the group's.

    A topic is left out where a corrected agency makes it doubtful.
    """
    lesson = {"text": unescaped(corrected.case.text), **corrected.labels}
    if _AGENCY in lesson:
        lesson[_AGENCY] = group_of(lesson[_AGENCY], domain)
    if corrected.topic_unknown:
        lesson[_TOPIC] = ""
    return lesson


def group_of(agency: str, domain: Domain) -> str:
    """Return the group of which an agency is a branch by place, as models learn it; one that owns topics stays itself.

    >>> group_of("muharraq_municipality", Domain.bundled()), group_of("works", Domain.bundled())
    ('municipality', 'works')
    """
    if agency in domain.taxonomy.agency_groups():
        return agency
    agencies = domain.taxonomy.agencies.values()
    return next((group.id for group in agencies if agency in group.members.values()), agency)
