"""The labels of a task as people read and write them."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from tawasul_nlp.domain import Domain, agency_named
from tawasul_nlp.model.label_sets import join_labels, split_labels
from tawasul_nlp.tables.classified import ClassifiedCase, ClassifiedTable
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.text import normalize

_AGENCY = "agency"
_QUOTED_CHARS = 40


class LabelNames:
    """The labels that a task may have, by their names: Arabic ones where the domain has such.

    Parameters
    ----------
    task : str
    ids : iterable of str
    domain : Domain
    several : bool
        Whether a case may have several of them.

    Examples
    --------
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
        """Return the label that a person wrote by its id or name; of several, their sorted cell.

        Raises
        ------
        ValueError
            If it is none; the message names the nearest.
        """
        if self._several:
            return join_labels(sorted(map(self._find, split_labels(written))))
        return self._find(written)

    def _find(self, written: str) -> str:
        id = self._ids.get(_folded(written))
        if id is None and self._task == _AGENCY:
            agency = agency_named(written, self._domain)
            id = agency if agency in self.ids else None
        if id is None:
            near = get_close_matches(_folded(written), self._ids, n=3, cutoff=0.6)
            hint = f"; did you mean {', '.join(repr(self._name(self._ids[name])) for name in near)}?" if near else ""
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

        Raises
        ------
        TableError
            If a task has no label at all.
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
