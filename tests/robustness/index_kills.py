"""Kill the process that changes an index, or copy its files meanwhile: what it acknowledged must be there, in order.

The process adds and removes cases, and decides like people: it merges, splits, moves, closes and reopens. It also saves
its graph of neighbours, and puts its log into the database, all more often than it would, so that every moment gets its
share. A copy of files that change may be refused, but not lack anything. An index must also be what its own history
says: a slow reference is kept from that. A rebuild is killed too: until it is complete the index is as it was, and the
one that ends it comes to what an undisturbed one comes to.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from tawasul_nlp.duplicates import DuplicateIndex, IncidentEvent, rebuild_index
from tawasul_nlp.duplicates.index import database, index_folder
from tawasul_nlp.duplicates.index.index_folder import beside
from tawasul_nlp.errors import IndexFormatError
from tests.robustness.harness import REFUSED, Outcome, count
from tests.robustness.index_material import cases, grouper, started
from tests.robustness.index_reference import decide, wrong

PROMISE = "what an index acknowledged is never lost"
# Every so many cases one before is removed; so many are added at once, at most.
_REMOVED_EVERY = 17
_AT_ONCE = 4
# Cases of an index that is rebuilt.
_REBUILT = 60
_EPOCH = datetime(1970, 1, 1)


def run(trials: int, seed: int) -> Iterator[Outcome]:
    """Kill ``trials`` processes and copy as many indexes; begin a new index whenever all cases are added."""
    kills, copies, rebuilds = (
        itertools.islice(_endless(attack, random.Random(seed)), trials) for attack in (_kills, _copies, _rebuilds)
    )
    yield count(PROMISE, "kill -9 while an index is changed", kills, harmless=())
    yield count(PROMISE, "files copied one by one while an index is changed", copies)
    yield count(PROMISE, "kill -9 while an index is rebuilt", rebuilds, harmless=())


def _endless(attack: Callable[[Path, random.Random], Iterator[str]], chance: random.Random) -> Iterator[str]:
    while True:
        with tempfile.TemporaryDirectory() as place:
            yield from attack(Path(place), chance)


def _kills(place: Path, chance: random.Random) -> Iterator[str]:
    """Kill processes that change an index until it has all cases, and say what is wrong after each."""
    acknowledged: list[str] = []
    history: list[IncidentEvent] = []
    while _added(history) < len(cases()):
        with _changing(place / "index", acknowledged, chance) as wait:
            wait(chance.randrange(12) if chance.random() < 0.9 else 0)
            time.sleep(chance.uniform(0, 0.03))
        word, history = _said_of(place / "index", acknowledged)
        further = history[len(acknowledged) :]
        more = _added(history) - _added(history[: len(acknowledged)]) > _AT_ONCE
        notes = {event.note or event.kind for event in further if event.note or event.kind == "removed"}
        yield "more than one call that was not acknowledged" if more or len(notes) > 1 else word
        acknowledged = list(map(repr, history))


def _copies(place: Path, chance: random.Random) -> Iterator[str]:
    """Copy an index file by file while a process changes it, until it has all cases; say what is wrong with each."""
    acknowledged: list[str] = []
    history: list[IncidentEvent] = []
    while _added(history) < len(cases()):
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
        _, history = _said_of(place / "index", acknowledged)
        acknowledged = list(map(repr, history))


def _rebuilds(place: Path, chance: random.Random) -> Iterator[str]:
    """Kill processes that rebuild an index, until one of them has done it, and say what is wrong after each."""
    folder = place / "index"
    with DuplicateIndex.open(folder, grouper()) as index:
        index.add(cases()[:_REBUILT])
        for number in range(10):
            decide(index, chance, str(number))
        before = index.history()
    shutil.copytree(folder, place / "undisturbed")
    rebuild_index(place / "undisturbed", grouper())
    expected = _state(place / "undisturbed")
    new, old = beside(folder)
    while not old.exists():
        process = started(rebuild_index, folder, grouper())
        process.join(chance.uniform(0, 1.2))
        process.kill()
        process.join()
        if not folder.exists():
            new.rename(folder)
        state = _state(folder)
        if not old.exists():
            yield "" if state[1] == before else "an unfinished rebuild changed the index"
        else:
            yield "" if state == expected else "another result than that of an undisturbed rebuild"


def _state(folder: Path) -> tuple[object, list[IncidentEvent]]:
    DuplicateIndex.verify(folder)
    with DuplicateIndex.open(folder, grouper()) as index:
        events = [
            replace(event, at=_EPOCH) if event.reason == "the index was rebuilt" else event for event in index.history()
        ]
        return (index.assignments(), index.incidents(1)), events


def _added(history: Iterable[IncidentEvent]) -> int:
    """Return how many cases were ever added."""
    return len({event.case_id for event in history if event.kind in ("created", "joined")})


@contextmanager
def _changing(folder: Path, acknowledged: list[str], chance: random.Random) -> Iterator[Callable[[int], None]]:
    """Have a process change an index, extend ``acknowledged`` by the events that it acknowledges, and kill it.

    What is yielded waits for so many acknowledgements.
    """
    reading, writing = os.pipe()
    log, unsaved, seed = chance.choice((10, 40, 1_000)), chance.choice((3, 10_000)), chance.getrandbits(32)
    process = started(_change, folder, writing, log, unsaved, seed)
    os.close(writing)
    with open(reading, encoding="utf-8") as file:
        try:
            yield lambda lines: acknowledged.extend(
                line[:-1] for line in (file.readline() for _ in range(lines)) if line
            )
        finally:
            process.kill()
            process.join()
            # The pipe holds what was acknowledged before the kill, perhaps not to its end.
            acknowledged.extend(line[:-1] for line in file if line.endswith("\n"))


def _change(folder: Path, writing: int, long_log: int, unsaved: int, seed: int) -> None:
    database._LONG_LOG, index_folder._UNSAVED = long_log, unsaved
    size, chance = 1, random.Random(seed)

    def acknowledge(events: Iterable[IncidentEvent]) -> None:
        os.write(writing, "".join(f"{event!r}\n" for event in events).encode())

    while True:
        with DuplicateIndex.open(folder, grouper()) as index:
            for _ in range(4):
                position = _added(index.history())
                for _ in range(chance.choice((0, 0, 1, 3)) if position else 0):
                    acknowledge(decide(index, chance, str(chance.random())))
                if position == len(cases()):
                    return
                acknowledge(index.add(cases()[position : position + size]).changes)
                if position % _REMOVED_EVERY == 0 and position and str(cases()[position - 1].id) in index:
                    acknowledge(index.remove(str(cases()[position - 1].id)))
                size = size % _AT_ONCE + 1


def _said_of(folder: Path, acknowledged: list[str]) -> tuple[str, list[IncidentEvent]]:
    """Compare an index with the events that were acknowledged; return what is wrong with it, and its history."""
    if not (folder / database.DATABASE).is_file():
        return "everything lost" if acknowledged else "", []
    try:
        DuplicateIndex.verify(folder)
        with DuplicateIndex.open(folder, grouper()) as index:
            history, problem = index.history(), next(wrong(index), "")
            present = [case for case in cases() if case.id in index]
            if list(map(repr, history[: len(acknowledged)])) != acknowledged:
                problem = "lost what was acknowledged, or has it in another order"
            elif list(index.assignments()) != [case.id for case in present]:
                problem = problem or "its cases are in another order"
            for case in present[-3:]:
                if index.assignment(str(case.id)).incident_id not in {match.incident_id for match in index.query(case)}:
                    problem = problem or "a case is not found by its own text"
    except IndexFormatError:
        return REFUSED, []
    return problem, history
