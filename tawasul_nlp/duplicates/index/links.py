"""The stored constraints of an index: which cases a person linked, and which a person keeps apart.

``must_link`` holds the component of each linked case, so one case may leave it and the others stay linked;
``cannot_link`` holds each pair in both directions. Changes go inside a transaction of the database.
"""

from __future__ import annotations

from collections.abc import Sequence

from tawasul_nlp.duplicates.clustering import Constraints
from tawasul_nlp.duplicates.index.database import IndexDatabase

_OF_INCIDENT = "SELECT row FROM cases WHERE group_id = ?"


class Links:
    """The constraints between the cases of an index."""

    def __init__(self, database: IndexDatabase) -> None:
        self._database = database
        # Most indexes have none, and then adding a case asks for none.
        self._any = bool(database.one("SELECT EXISTS (SELECT 1 FROM must_link) OR EXISTS (SELECT 1 FROM cannot_link)"))

    def __bool__(self) -> bool:
        return self._any

    def among(self, rows: Sequence[int]) -> Constraints | None:
        """Return the constraints among some cases by their positions in ``rows``; None if there are none."""
        if not self._any:
            return None
        at = {row: position for position, row in enumerate(rows)}
        marks = ",".join(map(str, rows))  # not as values, of which SQLite takes so many only
        chain: dict[int, int] = {}
        linked = []
        for row, component in self._database.all(f"SELECT row, component FROM must_link WHERE row IN ({marks})"):
            linked.append((chain.setdefault(component, at[row]), at[row]))
        pairs = self._database.all(f"SELECT first, second FROM cannot_link WHERE first IN ({marks}) AND second > first")
        apart = [(at[first], at[second]) for first, second in pairs if second in at]
        return Constraints.from_pairs(len(rows), linked, apart)

    def are_linked(self, first: int, second: int) -> bool:
        """Return whether a person linked two cases."""
        query = (
            "SELECT EXISTS (SELECT 1 FROM must_link a JOIN must_link b USING (component) WHERE a.row = ? AND b.row = ?)"
        )
        return self._any and bool(self._database.one(query, first, second))

    def keep_apart(self, row: int, group_id: int) -> bool:
        """Return whether a person keeps a case apart from one of an incident's."""
        query = (
            "SELECT EXISTS (SELECT 1 FROM cannot_link k JOIN cases c ON c.row = k.second "
            "WHERE k.first = ? AND c.group_id = ?)"
        )
        return self._any and bool(self._database.one(query, row, group_id))

    def link(self, group_id: int) -> bool:
        """Link all cases of an incident; return whether that overrules an earlier decision."""
        self._any = True
        inside = f"FROM cannot_link WHERE first IN ({_OF_INCIDENT}) AND second IN ({_OF_INCIDENT})"
        overruled = bool(self._database.one(f"SELECT EXISTS (SELECT 1 {inside})", group_id, group_id))
        if overruled:
            self._database.change(f"DELETE {inside}", group_id, group_id)
        self._database.change(
            "INSERT OR REPLACE INTO must_link (row, component) "
            f"SELECT row, (SELECT coalesce(max(component), 0) + 1 FROM must_link) FROM ({_OF_INCIDENT})",
            group_id,
        )
        return overruled

    def separate(self, row: int, group_id: int) -> bool:
        """Keep a case, which has left an incident, apart from its cases; return whether that overrules a decision."""
        self._any = True
        overruled = self._unlink(row)
        for pair in ("?, row", "row, ?"):
            self._database.change(
                f"INSERT OR IGNORE INTO cannot_link (first, second) SELECT {pair} FROM cases WHERE group_id = ?",
                row,
                group_id,
            )
        return overruled

    def forget(self, row: int) -> None:
        """Take a removed case out of the constraints; what it was kept apart from, those linked with it still are."""
        if not self._any:
            return
        mates = "must_link a JOIN must_link b USING (component) JOIN cannot_link k ON k.first = a.row"
        for pair in ("b.row, k.second", "k.second, b.row"):
            self._database.change(
                f"INSERT OR IGNORE INTO cannot_link (first, second) SELECT {pair} FROM {mates} "
                "WHERE a.row = ? AND b.row != a.row",
                row,
            )
        self._unlink(row)
        self._database.change(
            "DELETE FROM cannot_link WHERE (first, second) IN (SELECT second, first FROM cannot_link WHERE first = ?)",
            row,
        )
        self._database.change("DELETE FROM cannot_link WHERE first = ?", row)

    def _unlink(self, row: int) -> bool:
        found = self._database.first("SELECT component FROM must_link WHERE row = ?", row)
        if found is None:
            return False
        self._database.change("DELETE FROM must_link WHERE row = ?", row)
        self._database.change(
            "DELETE FROM must_link WHERE component = ? AND 1 = (SELECT count(*) FROM must_link WHERE component = ?)",
            *found * 2,
        )
        return True


def check_links(database: IndexDatabase) -> None:
    """Raise IndexFormatError if incidents contradict the constraints, or these name cases that are not there."""
    strays = (
        "SELECT count(*) FROM must_link WHERE row NOT IN (SELECT row FROM cases)",
        "SELECT count(*) FROM cannot_link WHERE first NOT IN (SELECT row FROM cases)",
        "SELECT count(*) FROM cannot_link a WHERE NOT EXISTS "
        "(SELECT 1 FROM cannot_link b WHERE b.first = a.second AND b.second = a.first)",
        "SELECT count(*) FROM (SELECT component FROM must_link JOIN cases USING (row) "
        "GROUP BY component HAVING count(DISTINCT group_id) > 1 OR count(*) = 1)",
        "SELECT count(*) FROM cannot_link k JOIN cases a ON a.row = k.first JOIN cases b ON b.row = k.second "
        "WHERE a.group_id = b.group_id",
    )
    if any(database.one(query) for query in strays):
        raise database.damaged("its incidents contradict the decisions of people that it holds")
