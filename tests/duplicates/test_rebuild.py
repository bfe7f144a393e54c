"""An index is made anew of its cases, whichever model made it, and nothing is lost on the way."""

import os
import shutil
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
    return {name: assigned.group_id for name, assigned in index.assignments().items()}


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
        assert new.group_id == 5, "the id of the incident that was removed is not given again"
        assert index.add([POWER_AGAIN])[0].group_id == 2
    assert sorted(path.name for path in folder.parent.iterdir()) == ["incidents", "incidents.old"]


def test_incidents_that_another_threshold_takes_apart_get_ids_that_nobody_had(folder):
    strict = DuplicateGrouper.from_pretrained(threshold=1.0)
    done = rebuild_index(folder, strict)
    assert (done.incidents, done.ids_kept) == (4, 3)
    with DuplicateIndex.open(folder) as index:
        assert ids(index) == {"h-1": 1, "p-1": 2, "e-1": 3, "p-2": 5} and index.stats()["threshold"] == 1.0
        for name in ids(index):
            index.remove(name)
    shutil.rmtree(done.old)
    assert rebuild_index(folder, strict).cases == 0, "an empty index is rebuilt"


def test_an_index_that_is_open_or_whose_neighbours_names_are_taken_is_left_alone(grouper, folder, tmp_path):
    before = contents(folder)
    for name in ("incidents.new", "incidents.old"):
        (tmp_path / name).mkdir()
        with pytest.raises(IndexDiskError, match=f"{name}: is there already"):
            rebuild_index(folder, grouper)
        (tmp_path / name).rmdir()
    with pytest.raises(IndexFormatError, match="no index here"):
        rebuild_index(tmp_path / "absent", grouper)
    assert contents(folder) == before
    done = rebuild_index(folder, grouper)
    shutil.rmtree(done.old)
    with DuplicateIndex.open(folder, grouper), pytest.raises(IndexLockedError):
        rebuild_index(folder, grouper)
    assert [path.name for path in tmp_path.iterdir()] == ["incidents"]


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
    assert contents(folder) == before and [path.name for path in folder.parent.iterdir()] == ["incidents"]


def test_a_case_that_another_process_adds_before_the_swap_is_not_lost(grouper, folder, monkeypatch):
    set_fact("model_hash", grouper.classifier.config.model_hash)(folder)
    rename = os.rename

    def late(source, target):
        monkeypatch.setattr(module.os, "rename", rename)
        with DuplicateIndex.open(folder, grouper) as index:
            index.add([Case("المجاري طافحة في مجمع 305", id="late")])
        rename(source, target)

    monkeypatch.setattr(module.os, "rename", late)
    with pytest.raises(IndexLockedError, match="another process changed the index meanwhile"):
        rebuild_index(folder, grouper)
    with DuplicateIndex.open(folder, grouper) as index:
        assert "late" in index and len(incidents(index)) == 4
    assert rebuild_index(folder, grouper).cases == 5


def test_a_rebuild_that_was_killed_between_its_last_two_steps_says_how_to_end_it(grouper, folder):
    done = rebuild_index(folder, grouper)
    folder.rename(folder.with_name("incidents.new"))
    for use in (rebuild_index, DuplicateIndex.open):
        with pytest.raises(IndexFormatError, match=r"rename incidents\.new, which is complete, to incidents"):
            use(folder, grouper)
    assert done.old.is_dir() and not folder.exists()
