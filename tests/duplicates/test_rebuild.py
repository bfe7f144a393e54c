"""An index is made anew of its cases, whichever model made it, and nothing is lost on the way."""

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import astuple

import pytest

from tawasul_nlp.duplicates import Case, DuplicateGrouper, DuplicateIndex, rebuild_index
from tawasul_nlp.duplicates.index import rebuild as module
from tawasul_nlp.errors import IndexDiskError, IndexFormatError, IndexLockedError
from tests.duplicates.test_index import HOLE, POWER, POWER_AGAIN, POWER_COPY, POWER_ELSEWHERE, incidents, set_fact


@pytest.fixture
def folder(grouper, tmp_path):
    """An index of another model, of which one incident was removed."""
    folder = tmp_path / "incidents"
    cases = [
        Case(HOLE, id="h-1", place="مجمع 714"),
        Case(POWER, id="p-1", created_at="2026-01-01T08:00:00+03:00"),
        Case(POWER_ELSEWHERE, id="e-1"),
        Case(POWER_COPY, id="p-2", created_at="2026-01-02"),
        Case("المجاري طافحة في مجمع 305", id="last"),
    ]
    with DuplicateIndex.open(folder, grouper) as index:
        index.add(cases)
        index.remove("last")
    set_fact("model_hash", "0123456789abcdef")(folder)
    return folder


def ids(index):
    return {name: assigned.incident_id for name, assigned in index.assignments().items()}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".sqlite", ".f16")}


def test_a_rebuilt_index_has_the_cases_and_ids_of_the_old_one_which_is_kept(grouper, folder):
    before = contents(folder)
    cases = DuplicateIndex.read_cases(folder)
    with pytest.raises(IndexFormatError, match=r"created with model 0123456789abcdef.*tawasul index rebuild"):
        DuplicateIndex.open(folder, grouper)
    done = rebuild_index(folder, grouper)
    assert (done.cases, done.incidents, done.ids_kept) == (4, 3, 3)
    assert contents(done.old) == before and done.old == folder.with_name("incidents.old")
    assert list(map(astuple, DuplicateIndex.read_cases(folder))) == list(map(astuple, cases))
    assert DuplicateIndex.verify(folder).cases == 4
    with DuplicateIndex.open(folder, grouper) as index:
        assert ids(index) == {"h-1": 1, "p-1": 2, "e-1": 3, "p-2": 2}
        new = index.add([Case("المجاري طافحة في مجمع 305", id="new")])[0]
        assert new.incident_id == 5, "the id of the incident that was removed is not given again"
        assert index.add([POWER_AGAIN])[0].incident_id == 2
    assert sorted(path.name for path in folder.parent.iterdir()) == ["incidents", "incidents.old"]


def test_incidents_that_another_threshold_takes_apart_get_ids_that_nobody_had(folder):
    strict = DuplicateGrouper.from_pretrained(threshold=1.0)
    done = rebuild_index(folder, strict)
    assert (done.incidents, done.ids_kept) == (4, 3)
    (event,) = done.changes
    assert (event.kind, event.incident, event.case_id, event.other) == ("split", 5, "p-2", 2)
    assert event.reason == "the index was rebuilt" and not event.by_person
    with DuplicateIndex.open(folder) as index:
        assert ids(index) == {"h-1": 1, "p-1": 2, "e-1": 3, "p-2": 5} and index.stats()["threshold"] == 1.0
        for name in ids(index):
            index.remove(name)
    shutil.rmtree(done.old)
    assert rebuild_index(folder, strict).cases == 0, "an empty index is rebuilt"


def test_an_index_whose_neighbours_names_are_taken_is_left_alone(grouper, folder, tmp_path):
    before = contents(folder)
    for name in ("incidents.new", "incidents.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.txt").write_text("mine", encoding="utf-8")
        with pytest.raises(IndexDiskError, match=f"{name}: is there already"):
            rebuild_index(folder, grouper)
        shutil.rmtree(tmp_path / name)
    with DuplicateIndex.open(tmp_path / "incidents.new", grouper) as index:
        index.add([HOLE])
    with pytest.raises(IndexDiskError, match=r"incidents\.new: is there already, and is no unfinished rebuild"):
        rebuild_index(folder, grouper)
    shutil.rmtree(tmp_path / "incidents.new")
    with pytest.raises(IndexFormatError, match="no index here"):
        rebuild_index(tmp_path / "absent", grouper)
    assert contents(folder) == before and [path.name for path in tmp_path.iterdir()] == ["incidents"]


def test_an_index_in_use_stays_so_until_it_is_closed_and_what_changed_meanwhile_is_in_the_new_one(
    grouper, folder, tmp_path, monkeypatch
):
    set_fact("model_hash", grouper.classifier.config.model_hash)(folder)
    read = []
    features = grouper.features
    monkeypatch.setattr(grouper, "features", lambda cases: read.extend(case.id for case in cases) or features(cases))
    with DuplicateIndex.open(folder, grouper) as index:
        with pytest.raises(IndexLockedError, match="is in use, and the new index is complete; close it"):
            rebuild_index(folder, grouper)
        assert index.query(POWER_AGAIN)[0].incident_id == 2 and len(index.incidents(1)) == 3
        index.add([Case("المجاري طافحة في مجمع 305", id="new")])
        index.remove("h-1")
        index.merge([2, 3])
        index.close_incident(2)
        after = index.incidents(1)
        read.clear()
    done = rebuild_index(folder, grouper)
    assert (done.cases, read) == (4, ["new"]), "cases that were read are not read again"
    with DuplicateIndex.open(folder, grouper) as index:
        assert index.incidents(1) == after and "h-1" not in index
    assert DuplicateIndex.verify(folder).cases == 4


def test_a_rebuild_that_was_stopped_resumes(grouper, folder, monkeypatch):
    monkeypatch.setattr(module, "_AT_ONCE", 1)
    expected = {"h-1": 1, "p-1": 2, "e-1": 3, "p-2": 2}

    class Stopped(Exception):
        pass

    def stopping(doing, share):
        if share >= 0.5:
            raise Stopped

    read = []
    features = grouper.features
    monkeypatch.setattr(grouper, "features", lambda cases: read.extend(case.id for case in cases) or features(cases))
    before = contents(folder)
    with pytest.raises(Stopped):
        rebuild_index(folder, grouper, progress=stopping)
    assert contents(folder) == before and read == ["h-1", "p-1"]
    shares = []
    rebuild_index(folder, grouper, progress=lambda doing, share: shares.append((doing, share)))
    assert read == ["h-1", "p-1", "e-1", "p-2"]
    assert shares == [("reading cases", 0.0), ("reading cases", 0.5), ("grouping", 0.0)]
    with DuplicateIndex.open(folder, grouper) as index:
        assert ids(index) == expected


def test_what_another_model_read_before_a_rebuild_was_stopped_is_read_again(grouper, folder, monkeypatch):
    def stopping(doing, share):
        if doing == "grouping":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild_index(folder, grouper, progress=stopping)
    new = folder.with_name("incidents.new")
    assert new.is_dir()
    set_fact("model_hash", "a third model")(new)
    read = []
    features = grouper.features
    monkeypatch.setattr(grouper, "features", lambda cases: read.extend(case.id for case in cases) or features(cases))
    rebuild_index(folder, grouper)
    assert read == ["h-1", "p-1", "e-1", "p-2"] and not new.exists()


def test_no_case_moves_into_what_a_person_split_off(grouper, tmp_path):
    folder = tmp_path / "incidents"
    strict = DuplicateGrouper(grouper.classifier, threshold=1.0)
    with DuplicateIndex.open(folder, strict) as index:
        index.add([Case(POWER, id="p-1"), Case(POWER_COPY, id="p-2"), Case(POWER_AGAIN, id="p-3")])
        index.merge([1, 2])
        index.split("p-2")
        index.remove("p-1")
        before = ids(index)
    done = rebuild_index(folder, grouper)
    with DuplicateIndex.open(folder, grouper) as index:
        assert ids(index) == before == {"p-2": 4, "p-3": 3} and done.changes == ()
        assert index.explain("p-2", "p-3").score > index.stats()["threshold"]


@pytest.mark.parametrize("step", ["folder to old", "new to folder"])
def test_a_rebuild_that_fails_at_any_step_leaves_the_index_as_it_was(grouper, folder, monkeypatch, step):
    before = contents(folder)
    rename = os.rename

    def failing(source, target):
        if (step == "folder to old" and source == folder) or source.name.endswith(".new"):
            raise PermissionError("no renaming here")
        rename(source, target)

    monkeypatch.setattr(module.os, "rename", failing)
    with pytest.raises(IndexDiskError, match="cannot be renamed .*the index is as it was"):
        rebuild_index(folder, grouper)
    assert contents(folder) == before and folder.with_name("incidents.new").is_dir(), "which the next rebuild takes"
    monkeypatch.undo()
    assert rebuild_index(folder, grouper).cases == 4


def test_a_case_that_another_process_adds_before_the_swap_is_in_the_new_index(grouper, folder, monkeypatch):
    set_fact("model_hash", grouper.classifier.config.model_hash)(folder)
    rename = os.rename

    def late(source, target):
        monkeypatch.setattr(module.os, "rename", rename)
        with DuplicateIndex.open(folder, grouper) as index:
            index.add([Case("المجاري طافحة في مجمع 305", id="late")])
        rename(source, target)

    monkeypatch.setattr(module.os, "rename", late)
    assert rebuild_index(folder, grouper).cases == 5
    with DuplicateIndex.open(folder, grouper) as index:
        assert "late" in index and len(incidents(index)) == 4


@pytest.mark.parametrize("table", ["cases", "groups", "must_link", "cannot_link", "events"])
def test_of_a_damaged_index_what_is_sound_is_kept(grouper, folder, table):
    set_fact("model_hash", grouper.classifier.config.model_hash)(folder)
    with DuplicateIndex.open(folder, grouper) as index:
        index.merge([1, 3])
        index.split("p-2")
    with closing(sqlite3.connect(folder / "index.sqlite")) as database, database:
        key = {"cases": "row", "must_link": "row", "cannot_link": "first"}.get(table, "id")
        database.execute(f"UPDATE {table} SET crc = crc + 1 WHERE {key} = (SELECT min({key}) FROM {table})")
    with pytest.raises(IndexFormatError, match=rf"a row of {table} does not match its checksum.*tawasul index rebuild"):
        DuplicateIndex.open(folder, grouper)
    done = rebuild_index(folder, grouper)
    assert done.damaged == 1 and done.cases == (3 if table == "cases" else 4)
    assert DuplicateIndex.verify(folder).cases == done.cases
    with DuplicateIndex.open(folder, grouper) as index:
        assert index.add([Case(POWER_AGAIN, id="again")])[0].id == "again"


def test_a_rebuild_that_was_killed_between_its_last_two_steps_says_how_to_end_it(grouper, folder):
    done = rebuild_index(folder, grouper)
    folder.rename(folder.with_name("incidents.new"))
    for use in (rebuild_index, DuplicateIndex.open):
        with pytest.raises(IndexFormatError, match=r"rename incidents\.new, which is complete, to incidents"):
            use(folder, grouper)
    assert done.old.is_dir() and not folder.exists()
