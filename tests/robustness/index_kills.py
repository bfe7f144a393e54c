"""Kill the process that changes an index, or copy its files meanwhile: what it acknowledged must be there, in order.

The process adds and removes cases, and decides like people: it merges, splits, moves, closes and reopens. It also saves
its graph of neighbours, and puts its log into the database, all more often than it would, so that every moment gets its
share. A copy of files that change may be refused, but not lack anything. An index must also be what its own history
says: a slow reference is kept from that.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tawasul_nlp.duplicates import DuplicateIndex
from tawasul_nlp.duplicates.index import database, store
from tawasul_nlp.errors import IndexFormatError
from tests.robustness.index_material import cases, grouper, started
from tests.robustness.index_reference import decide, wrong
from tests.robustness.outcome import Outcome

PROMISE = "what an index acknowledged is never lost"
# Every so many cases one before is removed; so many are added at once, at most.
_REMOVED_EVERY = 17
_AT_ONCE = 4
_SOUND, _REFUSED = "sound", "refused"


def run(trials: int, seed: int) -> Iterator[Outcome]:
    """Kill ``trials`` processes and copy as many indexes; begin a new index whenever all cases are added."""
    attacks: dict[str, tuple[Callable[[Path, random.Random], Iterator[str]], set[str]]] = {
        "kill -9 while an index is changed": (kills, {_SOUND}),
        "files copied one by one while an index is changed": (copies, {_SOUND, _REFUSED}),
    }
    for attack, (trying, allowed) in attacks.items():
        chance = random.Random(seed)
        found: Counter[str] = Counter()
        while found.total() < trials:
            with tempfile.TemporaryDirectory() as place:
                for word in trying(Path(place), chance):
                    found[word] += 1
                    if found.total() == trials:
                        break
        failures = sum(count for word, count in found.items() if word not in allowed)
        yield Outcome(PROMISE, attack, trials, failures, ", ".join(f"{n} {word}" for word, n in found.most_common()))


def kills(place: Path, chance: random.Random) -> Iterator[str]:
    """Kill processes that change an index until it has all cases, and say what is wrong after each."""
    acknowledged: list[int] = []
    while _added(acknowledged) < len(cases()):
        with _changing(place / "index", acknowledged, chance) as wait:
            wait(chance.randrange(12) if chance.random() < 0.9 else 0)
            time.sleep(chance.uniform(0, 0.03))
        word, reached, decided = said_of(place / "index", acknowledged)
        further = set(decided).difference(acknowledged)
        more = reached - _added(acknowledged) > _AT_ONCE or len(further) > 1
        yield "more than one call that was not acknowledged" if more else word
        acknowledged += [*range(_added(acknowledged), reached), *further]


def copies(place: Path, chance: random.Random) -> Iterator[str]:
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
        yield said_of(copied, before)[0]
        shutil.rmtree(copied)
        _, reached, decided = said_of(place / "index", acknowledged)
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
    process = started(
        _change,
        folder,
        _added(acknowledged),
        writing,
        chance.choice((10, 40, 1_000)),
        chance.choice((3, 10_000)),
        chance.getrandbits(32),
    )
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
    database._LONG_LOG, store._UNSAVED = long_log, unsaved
    at, size, chance = start, 1, random.Random(seed)
    while at < len(cases()):
        with DuplicateIndex.open(folder, grouper()) as index:
            notes = _notes(index)
            number = max(notes, default=_DECISIONS - 1)
            for _ in range(4):
                for _ in range(chance.choice((0, 0, 1, 3)) if at else 0):
                    number += 1
                    if decide(index, chance, str(number)):
                        os.write(writing, f"{number}\n".encode())
                few = cases()[at : at + size]
                index.add(few)
                os.write(writing, "".join(f"{position}\n" for position in range(at, at + len(few))).encode())
                if at % _REMOVED_EVERY == 0 and at and str(cases()[at - 1].id) in index:
                    index.remove(str(cases()[at - 1].id))
                    os.write(writing, f"{-at}\n".encode())
                at, size = at + len(few), size % _AT_ONCE + 1


def _notes(index: DuplicateIndex) -> list[int]:
    """Return the decisions in an index's history, in order."""
    notes = (int(event.note) for event in index.history() if event.note is not None)
    return list(dict.fromkeys(notes))  # one may have several events


def said_of(folder: Path, acknowledged: list[int]) -> tuple[str, int, list[int]]:
    """Compare an index with what was acknowledged.

    Returns what is wrong with it, how many cases it has really come to, and its decisions.
    """
    added, removed = _added(acknowledged), {-1 - position for position in acknowledged if position < 0}
    if not (folder / database.DATABASE).is_file():
        return "everything lost" if added else _SOUND, added, []
    try:
        DuplicateIndex.verify(folder)
        with DuplicateIndex.open(folder, grouper()) as index:
            present = list(index.assignments())
            decided = _notes(index)
            contradiction = next(wrong(index), None)
            grouped = sum(len(incident.members) for incident in index.groups(min_size=1))
            last = [case for case in cases() if case.id in index][-3:]
            found = all(
                index.assignment(str(case.id)).group_id in {match.group_id for match in index.query(case)}
                for case in last
            )
    except IndexFormatError:
        return _REFUSED, added, []
    positions = [at for at, case in enumerate(cases()) if case.id in set(present)]
    reached = max(positions, default=-1) + 1
    gone = set(range(reached)).difference(positions)
    word = _SOUND if found else "a case is not found by its own text"
    if reached < added or not removed <= gone:
        word = "lost what was acknowledged"
    elif not set(decided).issuperset(number for number in acknowledged if number >= _DECISIONS):
        word = "lost a decision that was acknowledged"
    elif decided != sorted(decided) or contradiction is not None:
        word = contradiction or "decisions in another order"
    elif present != [str(cases()[at].id) for at in positions] or grouped != len(present):
        word = "in another order, or not in incidents"
    elif not all((at + 1) % _REMOVED_EVERY == 0 for at in gone):
        word = "a case that was not removed is gone"
    return word, reached, decided
