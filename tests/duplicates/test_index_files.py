"""An index's files: damage is found, a kill or a full disk loses nothing, and one process at a time changes them."""

import json
import os
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from tawasul_nlp.cli import main
from tawasul_nlp.duplicates import DuplicateIndex, IndexCheck
from tawasul_nlp.duplicates.candidates import new_index
from tawasul_nlp.duplicates.index import index_folder
from tawasul_nlp.duplicates.index.database import IndexDatabase
from tawasul_nlp.errors import IndexDiskError, IndexFormatError, IndexLockedError
from tests.robustness import index_damage, index_kills
from tests.robustness.index_material import answers, cases, grouper, started


@pytest.fixture(scope="module")
def indexes(tmp_path_factory):
    """A folder of indexes that stay as they are, closed ones and one whose process was killed, and what they say."""
    folder = tmp_path_factory.mktemp("indexes")
    return folder, index_damage.make_indexes(folder)


@pytest.fixture
def closed(indexes, tmp_path):
    return shutil.copytree(indexes[0] / "late", tmp_path / "closed")


@pytest.fixture
def killed(indexes, tmp_path):
    return shutil.copytree(indexes[0] / "killed", tmp_path / "killed")


# -- damage ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("attack", index_damage.ATTACKS)
def test_a_damaged_index_answers_as_the_sound_one_or_is_refused(indexes, attack):
    folder, sound = indexes
    said = index_damage.attempts(folder, index_damage.ATTACKS[attack], sound, range(30))
    words = set(said.values())
    assert words <= {"same answers", "refused"}
    # What is appended to a database is never read, and a graph that is not the database's is made again.
    assert ("refused" in words) == (attack in list(index_damage.ATTACKS)[:2])


def test_a_damaged_graph_is_never_given_to_usearch_and_is_made_again(indexes, closed):
    graph = closed / "graph-60.usearch"
    data = bytearray(graph.read_bytes())
    data[-700] ^= 4
    graph.write_bytes(data)
    with pytest.raises(IndexFormatError, match=r"graph-60.usearch: damaged; delete it, and opening the index rebuilds"):
        DuplicateIndex.verify(closed)
    with DuplicateIndex.open(closed, grouper()) as index:
        assert answers(index) == indexes[1]["late"]
    assert not graph.exists() and DuplicateIndex.verify(closed).cases == 58


@pytest.mark.slow
def test_a_small_index_answers_the_same_however_its_graph_was_made(tmp_path):
    with DuplicateIndex.open(tmp_path / "index", grouper()) as index:
        index.add(cases())
        vectors = index._store.search_vectors(range(len(cases())))
        found = []
        for order in (range(len(cases())), range(len(cases()) - 1, -1, -1)):
            index._store._graph = new_index(vectors.shape[1])
            index._store._graph.add(np.array(order), vectors[list(order)], threads=1)
            found.append([index._store.nearest(vector, 50) for vector in vectors])
        assert found[0] == found[1]


def test_a_graph_of_a_machine_with_another_order_of_bytes_is_not_read(closed):
    with closing(IndexDatabase(closed)) as database:
        _, graph = index_folder.saved_graph(database)
        assert index_folder.is_sound(database, graph)
        other = {"little": "big", "big": "little"}[sys.byteorder]
        with database.committed():
            database.keep(graph=database.facts()["graph"].replace(sys.byteorder, other))
        assert not index_folder.is_sound(database, graph)


def changed(folder, statement):
    """Change an index as this library does, with fitting checksums."""
    with closing(IndexDatabase(folder)) as database, database.committed():
        assert database._database.execute(statement).rowcount > 0


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("cases", "score = 0.5"),
        ("cases", "vector = zeroblob(length(vector))"),
        ("groups", "closed_at = '2026-01-01T00:00:00+00:00'"),
        ("must_link", "component = component + 1"),
        ("events", "note = 'another'"),
        ("meta", "value = '0.9'"),
    ],
)
def test_a_row_that_something_else_changed_is_damage(closed, table, change):
    with closing(sqlite3.connect(closed / "index.sqlite")) as database, database:
        assert database.execute(f"UPDATE {table} SET {change} WHERE rowid = (SELECT max(rowid) FROM {table})").rowcount
    with pytest.raises(IndexFormatError, match=rf"index.sqlite: damaged .*a row of {table} .*; restore the folder"):
        DuplicateIndex.verify(closed)


# -- verify ------------------------------------------------------------------------------------------------------------


def test_verify_tells_what_it_checked_and_changes_nothing_but_what_a_kill_left(closed, killed, capsys):
    before = {path.name: path.read_bytes() for path in closed.iterdir()}
    sizes = sum(map(len, before.values()))
    check = DuplicateIndex.verify(closed)
    assert check == IndexCheck(cases=58, incidents=check.incidents, bytes=sizes) and check.incidents > 20
    assert main(["index", "verify", str(closed)]) == 0
    assert capsys.readouterr().out == f"sound: 58 cases of {check.incidents} incidents, {sizes:,} bytes checked\n"
    assert main(["index", "verify", str(closed), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "cases": 58,
        "incidents": check.incidents,
        "bytes": sizes,
        "impossible_dates": [],
    }
    assert {path.name: path.read_bytes() for path in closed.iterdir()} == before
    assert DuplicateIndex.verify(killed).cases == 67 and not (killed / "index.sqlite-wal").exists()


def test_verify_refuses_what_is_damaged_open_or_no_index(closed, capsys, tmp_path):
    with DuplicateIndex.open(closed, grouper()):
        assert main(["index", "verify", str(closed)]) == 1
        assert "already open" in capsys.readouterr().err
    with (closed / "index.sqlite").open("r+b") as file:
        file.seek(10_000)
        file.write(bytes(3_000))
    assert main(["index", "verify", str(closed)]) == 1
    assert "index.sqlite: damaged (" in capsys.readouterr().err
    assert main(["index", "verify", str(tmp_path / "absent")]) == 1
    assert "no index here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("DELETE FROM groups WHERE id = (SELECT min(id) FROM groups)", "it has cases without an incident"),
        *(
            (change, "its incidents contradict the decisions of people")
            for change in (
                "UPDATE must_link SET row = 999 WHERE row = (SELECT min(row) FROM must_link)",
                "UPDATE must_link SET component = 999 WHERE row = (SELECT min(row) FROM must_link)",
                "DELETE FROM cannot_link WHERE first = (SELECT min(first) FROM cannot_link)",
                "INSERT INTO cannot_link (first, second) SELECT a.row, b.row FROM must_link a "
                "JOIN must_link b USING (component) WHERE a.row != b.row",
                "UPDATE cases SET group_id = (SELECT max(id) FROM groups) WHERE row = "
                "(SELECT m.row FROM must_link m WHERE m.row NOT IN (SELECT representative FROM groups) LIMIT 1)",
            )
        ),
    ],
)
def test_verify_finds_what_contradicts_itself(closed, change, message):
    changed(closed, change)
    with pytest.raises(IndexFormatError, match=f"damaged .{message}"):
        DuplicateIndex.verify(closed)


# -- kills, interrupts, full disks -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_kill_at_any_moment_loses_nothing_that_was_acknowledged_and_a_copy_lacks_nothing():
    for outcome in index_kills.run(8, 20261124):
        assert (outcome.trials, outcome.failures) == (8, 0), outcome


def test_a_process_that_is_killed_while_it_makes_an_index_does_not_block_the_folder(tmp_path):
    folder = tmp_path / "index"
    folder.mkdir()
    (folder / "lock").touch()
    (folder / "index.new").touch()
    with DuplicateIndex.open(folder, grouper()) as index:
        index.add(cases()[:3])
    assert DuplicateIndex.verify(folder).cases == 3


committed = IndexDatabase.committed


@contextmanager
def interrupted(database):
    with committed(database):
        yield
    raise KeyboardInterrupt


def test_an_interrupt_right_after_a_transaction_keeps_it(tmp_path, monkeypatch):
    index = DuplicateIndex.open(tmp_path / "index", grouper())
    index.add(cases()[:5])
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(IndexDatabase, "committed", interrupted)
        index.add(cases()[5:8])
    assert len(index) == 8
    index.add(cases()[5:12])
    index.close()
    assert DuplicateIndex.verify(tmp_path / "index").cases == 12


def test_a_full_disk_is_told_and_the_index_goes_on_when_there_is_room(tmp_path):
    process = started(_fill_disk, tmp_path / "index", tmp_path / "added")
    process.join()
    assert process.exitcode == 0
    added = (tmp_path / "added").read_text(encoding="utf-8").split()
    assert DuplicateIndex.verify(tmp_path / "index").cases == len(added)
    assert [case.id for case in DuplicateIndex.read_cases(tmp_path / "index")] == added


def _fill_disk(folder, report):
    """Add cases while no file may grow beyond 400 kB, and some more when it may again."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    added = []
    index = DuplicateIndex.open(folder, grouper())
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, most))
    for case in cases()[:60]:
        try:
            index.add([case])
        except IndexDiskError as error:
            assert "what was added before is kept: free space" in str(error)
            break
        added.append(case.id)
    assert 0 < len(added) < 60 and list(index.assignments()) == added
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    for case in cases()[100:110]:
        index.add([case])
        added.append(case.id)
    index.close()
    report.write_text(" ".join(added), encoding="utf-8")


# -- one process at a time ---------------------------------------------------------------------------------------------


def test_an_index_without_its_lock_file_does_not_change_what_another_process_changed(closed):
    def add_another():
        with DuplicateIndex.open(closed, grouper()) as index:
            index.add(cases()[92:93])

    with DuplicateIndex.open(closed, grouper()) as index:
        index.add(cases()[90:91])
        (closed / "lock").unlink()
        started(add_another).join()
        assert cases()[92].id in index
        with pytest.raises(IndexLockedError, match="already open"):
            index.add(cases()[91:92])
        assert cases()[91].id not in index
    assert DuplicateIndex.verify(closed).cases == 60


def test_a_forked_process_neither_changes_nor_closes_the_index_of_its_parent(closed):
    def use_it():
        uses = (lambda: index.add(cases()[92:93]), lambda: index.remove(cases()[0].id), lambda: len(index), index.close)
        for use in uses:
            with pytest.raises(IndexLockedError, match=r"opened by process \d+, from which this one .* was forked"):
                use()
        os._exit(7)

    with DuplicateIndex.open(closed, grouper()) as index:
        process = started(use_it)
        process.join()
        assert process.exitcode == 7
        index.add(cases()[90:91])
    assert DuplicateIndex.verify(closed).cases == 59


@pytest.fixture
def unwritable():
    """A function that copies a folder to where nobody may write."""
    with tempfile.TemporaryDirectory() as place:  # others may not enter pytest's own folders
        os.chmod(place, 0o755)

        def copied(folder):
            target = shutil.copytree(folder, Path(place) / "index")
            for path in target.iterdir():
                path.chmod(0o444)
            target.chmod(0o555)
            return target

        yield copied
        (Path(place) / "index").chmod(0o755)


def as_anybody(work, *arguments):
    """Do some work in another process that is not the superuser's, who may write everywhere."""

    def do():
        if os.geteuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        work(*arguments)

    process = started(do)
    process.join()
    assert process.exitcode == 0


def test_an_index_that_cannot_be_written_answers_queries(closed, unwritable):
    def read():
        with DuplicateIndex.open(folder, grouper()) as index, DuplicateIndex.open(folder, grouper()) as second:
            assert len(index) == len(second) == 58
            assert index.query(cases()[10])[0].text == cases()[10].text
            incidents = [incident.incident_id for incident in index.incidents(min_size=1)][:2]
            for change in (
                lambda: index.add(cases()[90:91]),
                lambda: index.remove(str(cases()[10].id)),
                lambda: index.merge(incidents),
            ):
                with pytest.raises(IndexDiskError, match="the folder is read-only, so the index only answers"):
                    change()
            assert DuplicateIndex.verify(folder).cases == len(DuplicateIndex.read_cases(folder)) == len(index) == 58

    folder = unwritable(closed)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    as_anybody(read)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_killed_index_that_cannot_be_written_says_what_to_do(killed, unwritable):
    def read():
        for use in (DuplicateIndex.verify, DuplicateIndex.read_cases, DuplicateIndex.open):
            with pytest.raises(IndexDiskError, match="its process was killed, and the folder is read-only"):
                use(folder)

    folder = unwritable(killed)
    as_anybody(read)
