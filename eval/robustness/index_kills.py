"""Kill the process that adds to an index at random moments: what ``add`` returned must be there, and nothing else.

The process also removes cases, saves its graph of neighbours, and puts its log into the database, all more often than
it would, so that every moment gets its share of kills.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from eval.robustness.index_material import cases, grouper, started
from eval.robustness.outcome import Outcome
from tawasul_nlp.duplicates import DuplicateIndex, database, store
from tawasul_nlp.errors import IndexFormatError

# Every so many cases one before is removed.
_REMOVED_EVERY = 17


def run(trials: int, seed: int) -> Iterator[Outcome]:
    """Kill a process ``trials`` times, and begin a new index whenever the cases are all added."""
    chance = random.Random(seed)
    found: list[str] = []
    total = 0
    while len(found) < trials:
        with tempfile.TemporaryDirectory() as place:
            for problem, told in kills(Path(place) / "index", chance, trials - len(found)):
                found.append(problem)
                total += told
    failures = [problem for problem in found if problem]
    note = "; ".join([f"{total} cases acknowledged", *sorted(set(failures))])
    yield Outcome("what add returned is never lost", "kill -9 while an index is changed", trials, len(failures), note)


def kills(folder: Path, chance: random.Random, most: int) -> Iterator[tuple[str, int]]:
    """Kill processes that change an index until it has all cases; say what was wrong after each, and how many it told.

    What is told is ``+`` and the position of a case that was added, or ``-`` and that of one that was removed.
    """
    added, removed = 0, set[int]()
    while most and added < len(cases()):
        most -= 1
        told, telling = os.pipe()
        process = started(_change, folder, added, telling, chance.choice((10, 40, 1_000)), chance.choice((3, 10_000)))
        os.close(telling)
        with open(told, encoding="utf-8") as file:
            lines = [file.readline() for _ in range(chance.randrange(12))] if chance.random() < 0.9 else []
            time.sleep(chance.uniform(0, 0.03))
            process.kill()
            process.join()
            lines += file.readlines()  # the pipe holds what was told before the kill
        before = added
        for line in filter(str.strip, lines):
            at = int(line[1:])
            added = max(added, at + 1)
            if line[0] == "-":
                removed.add(at)
        problem, added, removed = _checked(folder, added, removed)
        yield problem, added - before


def _change(folder: Path, start: int, telling: int, long_log: int, unsaved: int) -> None:
    database._LONG_LOG, store._UNSAVED = long_log, unsaved
    at, size = start, 1
    while at < len(cases()):
        with DuplicateIndex.open(folder, grouper()) as index:
            for _ in range(4):
                few = cases()[at : at + size]
                index.add(few)
                os.write(telling, "".join(f"+{at + offset}\n" for offset in range(len(few))).encode())
                if at % _REMOVED_EVERY == 0 and at and str(cases()[at - 1].id) in index:
                    index.remove(str(cases()[at - 1].id))
                    os.write(telling, f"-{at - 1}\n".encode())
                at, size = at + len(few), size % 4 + 1


def _checked(folder: Path, added: int, removed: set[int]) -> tuple[str, int, set[int]]:
    """Compare an index with what was told; return what is wrong, and how far the index really is."""
    if not (folder / database.DATABASE).is_file():
        return ("everything lost" if added else ""), added, removed
    try:
        DuplicateIndex.verify(folder)
        with DuplicateIndex.open(folder, grouper()) as index:
            present = list(index.placements())
            sizes = sum(len(incident.members) for incident in index.groups(min_size=1))
            found = all(
                index.query(case)[0].group_id == index.placement(str(case.id)).group_id
                for case in [case for case in cases() if case.id in index][-3:]
            )
    except IndexFormatError as error:
        return f"refused: {error}", added, removed
    positions = [at for at, case in enumerate(cases()) if case.id in set(present)]
    reached = max(positions, default=-1) + 1
    gone = {at for at in range(reached) if at not in positions}
    if reached < added or not removed <= gone:
        return "lost what was acknowledged", reached, gone
    if reached > added + 4 or len(gone) > len(removed) + 1:
        return "more than one call that was not acknowledged", reached, gone
    if present != [str(cases()[at].id) for at in positions] or sizes != len(present):
        return "cases in another order, or not in incidents", reached, gone
    return ("" if found else "a case is not found by its own text"), reached, gone
