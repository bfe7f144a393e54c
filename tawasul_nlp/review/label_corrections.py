"""What a corrected label changes: the answers of the case, its row of the table, and what a model learns from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tawasul_nlp.domain import Domain, Places, find_named_agencies, find_places, route
from tawasul_nlp.model.label_sets import split_labels
from tawasul_nlp.review.case_issues import OTHER_AGENCIES, issue_cells, issues_of
from tawasul_nlp.review.label_names import LabelNames
from tawasul_nlp.tables.classified import ClassifiedCase, ClassifiedTable
from tawasul_nlp.tables.io.cells import to_name

_TOPIC, _AGENCY = "topic", "agency"
_PLACE_NEEDED = "place_needed"


@dataclass(frozen=True, slots=True)
class CorrectedCase:
    """A case that a person looked at.

    Attributes
    ----------
    case : ClassifiedCase
        As the model answered it.
    labels : mapping of str to str
        For each task, what holds now.
    changed : tuple of str
        The tasks whose label is another than the model's.
    place_needed : bool
        Whether the case, or another issue of it, cannot be sent before somebody knows its place.
    topic_unknown : bool
        Whether the agency was corrected to one that does not own the topic, so that the topic is doubtful.
    """

    case: ClassifiedCase
    labels: Mapping[str, str]
    changed: tuple[str, ...]
    place_needed: bool = False
    topic_unknown: bool = False


def corrected(
    case: ClassifiedCase, written: Mapping[str, str], table: ClassifiedTable, domain: Domain
) -> CorrectedCase:
    """Return a case with the labels that a person wrote; another topic routes it again, if the agency is the same.

    Tools send back what they suggested, so an agency that is the model's was not corrected.
    """
    labels, before, taxonomy = {**case.labels, **written}, case.labels, domain.taxonomy
    if _AGENCY not in labels or labels.get(_TOPIC) not in taxonomy.topics:
        return CorrectedCase(case, labels, _changed(case, labels))
    topic_kept, agency_kept = (labels[task] == before[task] for task in (_TOPIC, _AGENCY))
    if agency_kept and not topic_kept:
        labels[_AGENCY] = _recipient(case, labels[_TOPIC], table, domain)
    topic, agency = labels[_TOPIC], labels[_AGENCY]
    owned = taxonomy.topic(topic).agency in (agency, group_of(agency, domain))
    recipients = (agency, *issue_cells(case, table, topic, agency)[OTHER_AGENCIES])
    place_needed = any(id in taxonomy.agencies and taxonomy.agency(id).members for id in recipients)
    doubtful = topic_kept and not agency_kept and not owned
    return CorrectedCase(case, labels, _changed(case, labels), place_needed, doubtful)


def _changed(case: ClassifiedCase, labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(task for task in labels if labels[task] != case.labels[task])


def _recipient(case: ClassifiedCase, topic: str, table: ClassifiedTable, domain: Domain) -> str:
    """Return the agency of a topic: that of the case's issue with this topic, whose clause decided, or by the text."""
    known = next((issue.agency for issue in issues_of(case, table) if issue.topic == topic), None)
    if known is not None:
        return known
    places, named = _places(case, table, domain), find_named_agencies(case.text, domain)
    return route(topic, places, named, case.text, domain).agency_id


def _places(case: ClassifiedCase, table: ClassifiedTable, domain: Domain) -> Places:
    """Return the places of the text, in the region that the table has for the case, which may be from a column."""
    region = to_name(case.record.get(table.column(domain.gazetteer.levels.region.column)))
    places = find_places(case.text, domain)
    return replace(places, governorate=region) if region in domain.taxonomy.governorates else places


def cells_of(one: CorrectedCase, table: ClassifiedTable, names: Mapping[str, LabelNames]) -> dict[str, Any]:
    """Return the cells of the table that change: a person's label has probability 1, and the case needs no review."""
    cells: dict[str, Any] = {}
    for task in one.changed:
        label = one.labels[task]
        several = split_labels(label) if task in table.multi_label else None
        cells[task] = label if several is None else several
        cells[f"{task}_name_ar"] = names[task].name(label)
        cells[f"{task}_probability"] = 1.0
        cells[f"{task}_probabilities"] = (1.0,) * len(several or ())
    topic, agency = one.labels.get(_TOPIC), one.labels.get(_AGENCY)
    if topic is not None and agency is not None and {_TOPIC, _AGENCY} & set(one.changed):
        cells |= issue_cells(one.case, table, topic, agency)
    cells |= {"needs_review": one.place_needed, "review_reasons": [_PLACE_NEEDED] if one.place_needed else []}
    return {table.column(name): value for name, value in cells.items() if table.has(name)}


def lesson_of(one: CorrectedCase, domain: Domain) -> dict[str, str]:
    """Return a row that a model learns from: the text and its labels, of an agency in a group the group's.

    A topic is left out where a corrected agency makes it doubtful.
    """
    lesson = {"text": one.case.text, **one.labels}
    if _AGENCY in lesson:
        lesson[_AGENCY] = group_of(lesson[_AGENCY], domain)
    if one.topic_unknown:
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
