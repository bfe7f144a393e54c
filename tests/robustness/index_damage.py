"""Damage the files of an index at random: it must answer as before, or say what is damaged.

Indexes that were closed and one whose process was killed get changed bits, lose their end or gain one, or have a graph
that is another index's or of another day. What opens, ``read_cases`` and ``verify`` say of them is compared with the
sound index. Left out is the log of a killed process, whose damaged end SQLite takes for one that was never written, and
a whole database of another day, which is what a restored backup is. All that happens in other processes, so that one
that dies is counted.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from tawasul_nlp.duplicates import DuplicateIndex
from tawasul_nlp.duplicates.index import index_folder
from tawasul_nlp.errors import IndexFormatError
from tests.robustness.harness import REFUSED, Outcome, count
from tests.robustness.index_material import answers, cases, grouper, started

PROMISE = "a damaged index answers as the sound one or is refused"
SAME = "same answers"
_EARLY, _LATE, _KILLED = "early", "late", "killed"
_INDEXES = (_EARLY, _LATE, _KILLED)


def run(trials: int, seed: int) -> Iterator[Outcome]:
    """Damage an index in five ways, ``trials`` times each."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        sound = make_indexes(folder)
        for attack, damage in ATTACKS.items():
            said = attempts(folder, damage, sound, range(seed, seed + trials))
            yield count(PROMISE, attack, said.values(), (SAME, REFUSED))


# -- indexes -----------------------------------------------------------------------------------------------------------


def make_indexes(folder: Path) -> dict[str, dict[str, Any]]:
    """Make folders of an index as it was early and late, and as a kill left it, and another one's.

    Returns what each of the first index says, of which the folder stays as it is.
    """
    _grow(folder / _KILLED, ((0, 30, ()), (30, 60, (4, 40)), (60, 70, (2,))), (_EARLY, _LATE))
    _grow(folder / "other-killed", ((100, 160, (110, 140)), (160, 170, (101,))), ("other",))
    sound = {}
    for name in (_EARLY, _LATE, _KILLED):
        with tempfile.TemporaryDirectory() as place:
            copied = shutil.copytree(folder / name, Path(place) / "index")
            with DuplicateIndex.open(copied, grouper()) as index:
                sound[name] = answers(index)
    return sound


def _grow(folder: Path, steps: Iterable[tuple[int, int, tuple[int, ...]]], copies: Sequence[str]) -> None:
    """Add cases and remove some, in steps; copy the index after each but the last, whose process is killed."""
    for number, (start, end, removed) in enumerate(steps):
        process = started(_add, folder, start, end, removed, number < len(copies))
        process.join()
        assert process.exitcode == 0
        if number < len(copies):
            shutil.copytree(folder, folder.with_name(copies[number]))


def _add(folder: Path, start: int, end: int, removed: Iterable[int], close: bool) -> None:
    index_folder._UNSAVED = 1  # or so small an index would have no saved graph
    index = DuplicateIndex.open(folder, grouper())
    for first in range(start, end, 5):
        index.add(cases()[first : first + 5])
    for position in removed:
        index.remove(str(cases()[position].id))
    largest, *_, alone, last = index.incidents(min_size=1, state="open")
    index.split(largest.members[1], note="not this one")
    index.merge([alone.incident_id, last.incident_id], by="a person")
    index.close_incident(largest.incident_id)
    index.reopen_incident(largest.incident_id)
    index.close_incident(alone.incident_id)
    if close:
        index.close()


# -- damage ------------------------------------------------------------------------------------------------------------

# What changes an index of a name, beside others in a folder.
Damage = Callable[[random.Random, Path, Path, str], None]


def _some_file(chance: random.Random, index: Path) -> Path:
    return chance.choice(sorted(p for p in index.iterdir() if p.stat().st_size and not p.name.endswith("-wal")))


def _change_bits(chance: random.Random, folder: Path, index: Path, name: str) -> None:
    path = _some_file(chance, index)
    data = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 3)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def _lose_end(chance: random.Random, folder: Path, index: Path, name: str) -> None:
    path = _some_file(chance, index)
    if chance.random() < 0.1:
        path.unlink()
    else:
        size = chance.randrange(path.stat().st_size) // chance.choice((1, 1, 512, 4096)) * chance.choice((1, 512))
        os.truncate(path, size)


def _append(chance: random.Random, folder: Path, index: Path, name: str) -> None:
    path = _some_file(chance, index)
    size = chance.choice((1, 100, 320, 4096, 4120, 10_000))
    with path.open("ab") as file:
        file.write(chance.choice((bytes(size), chance.randbytes(size), path.read_bytes()[:size])))


def _replace_graph(sources: Sequence[str], chance: random.Random, folder: Path, index: Path, name: str) -> None:
    """Put the graph of one of some indexes in the place of an index's own, or where it has none."""
    path = next((folder / chance.choice([source for source in sources if source != name])).glob("graph-*"))
    graphs = sorted(index.glob("graph-*"))
    shutil.copyfile(path, graphs[0] if graphs else index / path.name)  # whose name the database knows


ATTACKS: dict[str, Damage] = {
    "1 to 3 bits of a file changed": _change_bits,
    "a file cut off or lost": _lose_end,
    "bytes appended to a file": _append,
    "a graph of another index": partial(_replace_graph, ("other", "other-killed")),
    "a graph of the same index, older or newer": partial(_replace_graph, _INDEXES),
}


# -- what is said ------------------------------------------------------------------------------------------------------


def attempts(folder: Path, damage: Damage, sound: dict[str, dict[str, Any]], seeds: range) -> dict[int, str]:
    """Damage an index once for each seed, in other processes; return what came of each."""
    said: dict[int, str] = {}
    report = folder / "said"
    while len(said) < len(seeds):
        report.write_text("")
        process = started(_attempt_all, folder, damage, sound, seeds[len(said) :], report)
        process.join()
        for line in report.read_text(encoding="utf-8").splitlines():
            seed, word = line.split(" ", 1)
            said[int(seed)] = word
        if process.exitcode:
            said[seeds[len(said)]] = "process died" if process.exitcode < 0 else "attack failed"
    return said


def _attempt_all(folder: Path, damage: Damage, sound: dict[str, dict[str, Any]], seeds: range, report: Path) -> None:
    with report.open("a", encoding="utf-8") as file:
        for seed in seeds:
            chance = random.Random(seed)
            name = chance.choice(_INDEXES)
            with tempfile.TemporaryDirectory() as place:
                index = shutil.copytree(folder / name, Path(place) / "index")
                damage(chance, folder, index, name)
                file.write(f"{seed} {said_of(index, sound[name], chance.choice(('open', 'stored', 'verify')))}\n")
            file.flush()


def said_of(folder: Path, sound: dict[str, Any], first: str) -> str:
    """Say what opening a damaged index comes to, or asking for its cases, or verifying it before it is opened.

    One that opens has to take further cases and be sound with them.
    """
    try:
        if first == "stored":
            stored = DuplicateIndex.read_cases(folder)
            same = [case.id for case in stored] == list(sound["assignments"])
            return SAME if same and [case.text for case in stored] == sound["texts"] else "other cases"
        refused = REFUSED
        if first == "verify":
            with suppress(IndexFormatError):
                DuplicateIndex.verify(folder)
                refused = "verified and refused"
        try:
            with DuplicateIndex.open(folder, grouper(), create=False) as index:
                if answers(index) != sound:
                    return "other answers"
                index.add(cases()[200:203])
            DuplicateIndex.verify(folder)
            return SAME
        except IndexFormatError:
            return refused
    except IndexFormatError:
        return REFUSED
    except Exception as error:
        return type(error).__name__
