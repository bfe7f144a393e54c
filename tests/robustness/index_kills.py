"""Kill the process that changes an index, or copy its files meanwhile: what it acknowledged must be there, in order.

The process adds and removes cases, and decides like people: it merges, splits, moves, closes and reopens. It also saves
its graph of neighbours, and puts its log into the database, all more often than it would, so that every moment gets its
share. A copy of files that change may be refused, but not lack anything. An index must also be what its own history
says: a slow reference is kept from that.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tawasul_nlp.duplicates import DuplicateIndex
from tawasul_nlp.duplicates.index import database, index_folder
from tawasul_nlp.errors import IndexFormatError
from tests.robustness.harness import REFUSED, Outcome, count
from tests.robustness.index_material import cases, grouper, started
from tests.robustness.index_reference import decide, wrong

PROMISE = "what an index acknowledged is never lost"
# Every so many cases one before is removed; so many are added at once, at most.
_REMOVED_EVERY = 17
_AT_ONCE = 4


def run(trials: int, seed: int) -> Iterator[Outcome]:
    """Kill ``trials`` processes and copy as many indexes; begin a new index whenever all cases are added."""
    kills, copies = (itertools.islice(_endless(attack, random.Random(seed)), trials) for attack in (_kills, _copies))
    yield count(PROMISE, "kill -9 while an index is changed", kills, harmless=())
    yield count(PROMISE, "files copied one by one while an index is changed", copies)


def _endless(attack: Callable[[Path, random.Random], Iterator[str]], chance: random.Random) -> Iterator[str]:
    while True:
        with tempfile.TemporaryDirectory() as place:
            yield from attack(Path(place), chance)


def _kills(place: Path, chance: random.Random) -> Iterator[str]:
    """Kill processes that change an index until it has all cases, and say what is wrong after each."""
    acknowledged: list[int] = []
    while _added(acknowledged) < len(cases()):
        with _changing(place / "index", acknowledged, chance) as wait:
            wait(chance.randrange(12) if chance.random() < 0.9 else 0)
            time.sleep(chance.uniform(0, 0.03))
        word, reached, decided = _said_of(place / "index", acknowledged)
        further = set(decided).difference(acknowledged)
        more = reached - _added(acknowledged) > _AT_ONCE or len(further) > 1
        yield "more than one call that was not acknowledged" if more else word
        acknowledged += [*range(_added(acknowledged), reached), *further]


def _copies(place: Path, chance: random.Random) -> Iterator[str]:
    """Copy an index file by file while a process changes it, until it has all cases; say what is wrong with each."""
    acknowledged: list[int] = []
    while _added(acknowledged) < len(cases()):
        with _changing(place / "index", acknowledged, chance) as wait:
            wait(chance.randint(1, 8))
            before = list(acknowledged)
            copied = place / "copy"
            copied.mkdir()
            names = sorted((place / "index").iterdir())
            for path in chance.sample(names, len(names)):
                with suppress(FileNotFoundError):  # a log or a graph is gone
                    shutil.copy(path, copied)
                time.sleep(chance.choice((0, 0, 0.01, 0.05)))
        yield _said_of(copied, before)[0]
        shutil.rmtree(copied)
        _, reached, decided = _said_of(place / "index", acknowledged)
        acknowledged += [*range(_added(acknowledged), reached), *set(decided).difference(acknowledged)]


# A process acknowledges a number a line: the position of a case that it added, -1 and less one that it removed, and
# from here on the number of a decision, which is its note.
_DECISIONS = 1_000_000


def _added(acknowledged: list[int]) -> int:
    return max((number for number in acknowledged if number < _DECISIONS), default=-1) + 1


@contextmanager
def _changing(folder: Path, acknowledged: list[int], chance: random.Random) -> Iterator[Callable[[int], None]]:
    """Have a process change an index, extend ``acknowledged`` by what it acknowledges, and kill it.

    What is yielded waits for so many acknowledgements.
    """
    reading, writing = os.pipe()
    log, unsaved, seed = chance.choice((10, 40, 1_000)), chance.choice((3, 10_000)), chance.getrandbits(32)
    process = started(_change, folder, _added(acknowledged), writing, log, unsaved, seed)
    os.close(writing)
    with open(reading, encoding="utf-8") as file:
        try:
            yield lambda lines: acknowledged.extend(
                int(line) for line in (file.readline() for _ in range(lines)) if line
            )
        finally:
            process.kill()
            process.join()
            acknowledged.extend(map(int, file))  # the pipe holds what was acknowledged before the kill


def _change(folder: Path, start: int, writing: int, long_log: int, unsaved: int, seed: int) -> None:
    database._LONG_LOG, index_folder._UNSAVED = long_log, unsaved
    position, size, chance = start, 1, random.Random(seed)
    while position < len(cases()):
        with DuplicateIndex.open(folder, grouper()) as index:
            notes = _notes(index)
            number = max(notes, default=_DECISIONS - 1)
            for _ in range(4):
                for _ in range(chance.choice((0, 0, 1, 3)) if position else 0):
                    number += 1
                    if decide(index, chance, str(number)):
                        os.write(writing, f"{number}\n".encode())
                few = cases()[position : position + size]
                index.add(few)
                os.write(writing, "".join(f"{position + n}\n" for n in range(len(few))).encode())
                if position % _REMOVED_EVERY == 0 and position and str(cases()[position - 1].id) in index:
                    index.remove(str(cases()[position - 1].id))
                    os.write(writing, f"{-position}\n".encode())
                position, size = position + len(few), size % _AT_ONCE + 1


def _notes(index: DuplicateIndex) -> list[int]:
    """Return the decisions in an index's history, in order; one may have several events."""
    return list(dict.fromkeys(int(event.note) for event in index.history() if event.note is not None))


def _said_of(folder: Path, acknowledged: list[int]) -> tuple[str, int, list[int]]:
    """Compare an index with what was acknowledged.

    Returns what is wrong with it, how many cases it has really come to, and its decisions.
    """
    added, removed = _added(acknowledged), {-1 - position for position in acknowledged if position < 0}
    if not (folder / database.DATABASE).is_file():
        return "everything lost" if added else "", added, []
    try:
        DuplicateIndex.verify(folder)
        with DuplicateIndex.open(folder, grouper()) as index:
            present = list(index.assignments())
            decided = _notes(index)
            problem = next(wrong(index), "")
            grouped = sum(len(incident.members) for incident in index.groups(min_size=1))
            for case in [case for case in cases() if case.id in index][-3:]:
                if index.assignment(str(case.id)).group_id not in {match.group_id for match in index.query(case)}:
                    problem = problem or "a case is not found by its own text"
    except IndexFormatError:
        return REFUSED, added, []
    positions = [position for position, case in enumerate(cases()) if case.id in set(present)]
    reached = max(positions, default=-1) + 1
    gone = set(range(reached)).difference(positions)
    if reached < added or not removed <= gone:
        problem = "lost what was acknowledged"
    elif not set(decided).issuperset(number for number in acknowledged if number >= _DECISIONS):
        problem = "lost a decision that was acknowledged"
    elif decided != sorted(decided):
        problem = problem or "decisions in another order"
    elif present != [str(cases()[position].id) for position in positions] or grouped != len(present):
        problem = problem or "in another order, or not in incidents"
    elif not all((position + 1) % _REMOVED_EVERY == 0 for position in gone):
        problem = problem or "a case that was not removed is gone"
    return problem, reached, decided
