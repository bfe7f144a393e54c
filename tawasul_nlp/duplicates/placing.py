"""Which incident a case of an index belongs to, and how incidents change when one comes or goes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from tawasul_nlp.duplicates.candidates import NEIGHBOURS
from tawasul_nlp.duplicates.columns import Columns, pack, unpack
from tawasul_nlp.duplicates.groups import pair_reasons
from tawasul_nlp.duplicates.scorer import PairScorer, conflicting_places
from tawasul_nlp.duplicates.stars import Edges, PlaceConflicts, star_groups
from tawasul_nlp.duplicates.store import IndexFolder

# So many cases are grouped anew among themselves when one is added (some milliseconds); beyond, it only joins.
_LOCAL = 48


@dataclass(frozen=True, slots=True)
class Offer:
    """An incident near a case: its representative's row, and the score of its case that is most alike.

    ``at`` is the row of that case in the columns that come with the offers.
    """

    group_id: int
    representative: int
    score: float
    at: int


class Placing:
    """Places the cases of an index folder; changes go inside its transaction."""

    def __init__(self, folder: IndexFolder, scorer: PairScorer, threshold: float) -> None:
        self._folder = folder
        self._scorer = scorer
        self._threshold = threshold

    def offers(self, columns: Columns, vector: np.ndarray, row: int | None = None) -> tuple[list[Offer], Columns]:
        """Return the incidents near one case, the likeliest first, and the columns of what it was compared with.

        Compared are the nearest cases and the representatives of their incidents; ``row`` is the case's own, if it is
        in the index already. The case itself is row 0 of the columns that are returned.
        """
        near = [other for other in self._folder.nearest(vector, NEIGHBOURS + 1) if other != row]
        marks = ",".join("?" * len(near))
        found = self._folder.all(
            f"SELECT g.id, c.row, c.columns, g.representative FROM cases c JOIN groups g ON g.id = c.group_id "
            f"WHERE c.row IN ({marks}) UNION SELECT g.id, h.row, h.columns, g.representative FROM cases c "
            f"JOIN groups g ON g.id = c.group_id JOIN cases h ON h.row = g.representative WHERE c.row IN ({marks})",
            near * 2,
        )
        if not found:
            return [], columns
        others = self._folder.unpack([other for _, other, _, _ in found], [blob for _, _, blob, _ in found])
        joined, first, second = _against(columns, others)
        scores = self._scorer.score(joined, first, second).tolist()
        best: dict[int, Offer] = {}
        for at, ((group_id, other, _, head), score) in enumerate(zip(found, scores, strict=True), start=1):
            offer = best.get(group_id)
            if offer is None or (score, other == head) > (offer.score, False):
                best[group_id] = Offer(group_id, head, score, at)
        return sorted(best.values(), key=lambda offer: (-offer.score, offer.group_id)), joined

    def fits(self, columns: Columns, offer: Offer) -> bool:
        """Whether a case is enough alike, and its place conflicts with that of no member."""
        if offer.score < self._threshold:
            return False
        found = self._folder.all(
            "SELECT min(row), columns FROM cases WHERE group_id = ? GROUP BY place_key", (offer.group_id,)
        )
        members = unpack([blob for _, blob in found], np.zeros((len(found), self._folder.width), np.float32))
        return not bool(conflicting_places(*_against(columns, members)).any())

    def settle(self, row: int, columns: Columns, vector: np.ndarray) -> bool:
        """Find the incident of a case that is stored without one; return whether it is the first report of a new one.

        The case and the incidents that it matches are grouped anew among themselves, so that the order in which cases
        come in matters little: a case may be what shows that two incidents are one, or the better representative.
        """
        touched = [offer for offer in self.offers(columns, vector, row)[0] if self.fits(columns, offer)]
        members: list[tuple[int, int, bytes]] = []
        for offer in touched:
            size = int(self._folder.one("SELECT count(*) FROM cases WHERE group_id = ?", offer.group_id))
            if len(members) + size <= _LOCAL:
                members += self._folder.all(
                    "SELECT row, group_id, columns FROM cases WHERE group_id = ? ORDER BY row", (offer.group_id,)
                )
        if members:
            self._regroup([*members, (row, -1, pack(columns)[0])])
            group_id = self._folder.one("SELECT group_id FROM cases WHERE row = ?", row)
            return bool(self._folder.one("SELECT count(*) FROM cases WHERE group_id = ?", group_id) == 1)
        # None, or only incidents so large that one more case does not change what they are.
        for offer in touched:
            joined, first, second = _against(columns, self._folder.read([offer.representative]))
            score = float(self._scorer.score(joined, first, second)[0])
            if score >= self._threshold:
                self._assign(row, offer.group_id, score, pair_reasons(joined, first, second)[0])
                return False
        self._assign(row, self._new_group(row), 1.0, "representative")
        return True

    def new_head(self, group_id: int) -> None:
        """Find a new representative for an incident that lost its own."""
        members = self._folder.all(
            "SELECT row, group_id, columns FROM cases WHERE group_id = ? ORDER BY score DESC, row", (group_id,)
        )
        if not members:
            self._folder.change("DELETE FROM groups WHERE id = ?", group_id)
            return
        if len(members) <= _LOCAL:
            self._regroup(members)
            return
        head = members[0][0]
        self._folder.change("UPDATE groups SET representative = ? WHERE id = ?", head, group_id)
        self._assign(head, group_id, 1.0, "representative")
        rows = [row for row, _, _ in members[1:]]
        others = self._folder.unpack(rows, [blob for _, _, blob in members[1:]])
        joined, first, second = _against(self._folder.read([head]), others)
        scores = self._scorer.score(joined, first, second).tolist()
        reasons = pair_reasons(joined, first, second)
        lost = []
        for row, score, reason in zip(rows, scores, reasons, strict=True):
            if score >= self._threshold:
                self._assign(row, group_id, score, reason)
            else:
                self._folder.change("UPDATE cases SET group_id = -1 WHERE row = ?", row)
                lost.append(row)
        for row in lost:
            self.settle(row, self._folder.read([row]), self._folder.search_vectors([row])[0])

    def _regroup(self, members: list[tuple[int, int, bytes]]) -> None:
        """Group some cases among themselves: (row, group id, columns); -1 for the group of one that has none.

        A new group keeps the id of the old one that most of its cases come from; an id whose cases all went elsewhere
        is gone.
        """
        rows = [row for row, _, _ in members]
        columns = self._folder.unpack(rows, [blob for _, _, blob in members])
        first, second = np.triu_indices(len(rows), 1)
        edges = Edges(first, second, self._scorer.score(columns, first, second))
        heads, scores = star_groups(len(rows), edges.above(self._threshold), PlaceConflicts(columns))
        reasons = pair_reasons(columns, np.arange(len(rows)), heads)
        old = [group_id for _, group_id, _ in members]
        shared = Counter((int(head), group_id) for head, group_id in zip(heads, old, strict=True) if group_id >= 0)
        ids: dict[int, int] = {}
        for (head, group_id), _ in sorted(shared.items(), key=lambda item: (-item[1], item[0][1], item[0][0])):
            if head not in ids and group_id not in ids.values():
                ids[head] = group_id
        for head in np.unique(heads).tolist():
            if head in ids:
                self._folder.change("UPDATE groups SET representative = ? WHERE id = ?", rows[head], ids[head])
            else:
                ids[head] = self._new_group(rows[head])
        for at, row in enumerate(rows):
            head = int(heads[at])
            self._assign(row, ids[head], float(scores[at]), "representative" if head == at else reasons[at])
        for gone in {group_id for group_id in old if group_id >= 0} - set(ids.values()):
            self._folder.change("DELETE FROM groups WHERE id = ?", gone)

    def _new_group(self, row: int) -> int:
        return self._folder.change("INSERT INTO groups (representative) VALUES (?)", row)

    def _assign(self, row: int, group_id: int, score: float, reason: str) -> None:
        self._folder.change(
            "UPDATE cases SET group_id = ?, score = ?, reason = ? WHERE row = ?", group_id, score, reason, row
        )


def _against(one: Columns, others: Columns) -> tuple[Columns, np.ndarray, np.ndarray]:
    """Return columns and the pairs of ``one`` (row 0) with each of ``others``."""
    columns = Columns.joined([one, others])
    second = np.arange(1, len(columns))
    return columns, np.zeros(len(second), np.int64), second
