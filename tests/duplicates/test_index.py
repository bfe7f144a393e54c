"""An index keeps what it has acknowledged, whatever happens, and says what to do when it cannot be opened."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from tawasul_nlp.cli import main
from tawasul_nlp.duplicates import Case, DuplicateGrouper, DuplicateIndex, rebuild_index
from tawasul_nlp.duplicates.index.database import IndexDatabase
from tawasul_nlp.duplicates.pair_features import NAMES
from tawasul_nlp.duplicates.pair_scorer import PairScorer
from tawasul_nlp.errors import IndexDiskError, IndexFormatError, InvalidTextError
from tawasul_nlp.tables.io.write import export_incidents
from tests.robustness import index_material, index_reference
from tests.waiting import HANG

ROOT = Path(__file__).parents[2]
DATA = ROOT / "training" / "data"
POWER = "انقطع التيار الكهربائي عن مجمع 1203 بمدينة حمد منذ ساعتين ولا أحد يرد على الطوارئ"
POWER_AGAIN = "الكهربا طافية علينا في مدينة حمد مجمع 1203 من ساعتين ومحد يرد علينا في الطوارئ"
POWER_COPY = "انقطع التيار الكهربائي عن مجمع 1203 بمدينة حمد منذ 3 ساعات ولا أحد يرد على الطوارئ!"
POWER_ELSEWHERE = "انقطع التيار الكهربائي عن مجمع 714 بمدينة عيسى منذ ساعتين ولا أحد يرد على الطوارئ"
HOLE = "الحفرة في شارع المعارض بالحورة كسرت تاير سيارتي"


@pytest.fixture(scope="module")
def corpus():
    """300 cases of the corpus, some of them reports of one incident, with their vectors."""
    return index_material.cases()


def incidents(index):
    return {frozenset(incident.members) for incident in index.incidents(min_size=1)}


# -- add, query, remove ------------------------------------------------------------------------------------------------


def test_a_report_joins_its_incident_another_place_opens_a_new_one_and_a_query_stores_nothing(index):
    first, copy, elsewhere, hole = index.add([POWER, POWER_COPY, POWER_ELSEWHERE, HOLE])
    assert first.is_new and first.score == 1.0 and first.reason == "representative"
    assert (copy.incident_id, copy.is_new) == (first.incident_id, False)
    assert copy.score >= 0.5 and "near-copy" in copy.reason
    assert len({first.incident_id, elsewhere.incident_id, hole.incident_id}) == 3
    assert len(index) == 4 and first.id in index and "absent" not in index
    assert (index.assignment(copy.id), index.assignment(first.id).incident_id) == (copy, first.incident_id)
    with pytest.raises(KeyError, match="no case 'absent'"):
        index.assignment("absent")
    likeliest, *others = index.query(POWER_AGAIN, k=3)
    assert (likeliest.incident_id, likeliest.size, likeliest.is_duplicate) == (first.incident_id, 2, True)
    assert likeliest.representative in (first.id, copy.id) and likeliest.text == index.text(likeliest.representative)
    assert "block" in likeliest.reason and not any(match.is_duplicate for match in others)
    assert sorted([likeliest, *others], key=lambda match: -match.score) == [likeliest, *others]
    assert index.query(POWER_AGAIN, k=1) == [likeliest] and len(index) == 4


def test_groups_come_largest_first_with_their_representative_first_and_are_counted(index):
    index.add([Case(HOLE, id="hole"), Case(POWER, id="p-1"), Case(POWER_COPY, id="p-2"), Case(HOLE + "!", id="hole-2")])
    index.add([Case(POWER_COPY + " رجاء", id="p-3")])
    largest, second = index.incidents()
    assert largest.representative == largest.members[0] and set(largest.members) == {"p-1", "p-2", "p-3"}
    assert largest.scores[0] == 1.0 and largest.reasons[0] == "representative"
    assert index.incident(second.incident_id) == second and second.members == ("hole", "hole-2")
    assert index.incidents(min_size=3) == [largest]
    with pytest.raises(KeyError, match="no incident 99"):
        index.incident(99)
    stats = index.stats()
    assert (stats["cases"], stats["incidents"], stats["groups"], stats["grouped_cases"]) == (5, 2, 2, 5)
    assert stats["largest_group"] == 3 and stats["bytes"] > 0 and len(stats["model_hash"]) == 16


def test_the_same_id_with_the_same_text_is_left_alone_and_with_another_text_is_refused(index):
    case = Case(POWER, id="c-1", created_at=datetime(2026, 3, 1, tzinfo=UTC))
    (first,) = index.add([case])
    again, once, twice = index.add([case, Case(HOLE, id="c-2"), Case(HOLE, id="c-2")])
    assert (again.incident_id, again.is_new) == (first.incident_id, False)
    assert once == twice and once.is_new and len(index) == 2
    before = index.assignments()
    with pytest.raises(ValueError, match="case 1: the id 'c-1' is already in .* with another text; remove"):
        index.add([Case("نص جديد", id="c-3"), Case(HOLE, id="c-1")])
    assert index.assignments() == before


def test_another_place_of_a_known_case_is_refused_and_a_missing_one_says_nothing(index):
    first = index.add([Case(HOLE, id="c-1", place="مجمع 711"), Case(POWER, id="c-2")])
    assert [one.incident_id for one in index.add([Case(HOLE, id="c-1"), Case(POWER, id="c-2")])] == [
        one.incident_id for one in first
    ]
    for other in (Case(HOLE, id="c-1", place="مجمع 1203"), Case(POWER, id="c-2", place="مجمع 711")):
        with pytest.raises(ValueError, match="is already in .* with another place; remove that case first"):
            index.add([Case("نص جديد", id="c-3"), other])
    assert len(index) == 2


@pytest.mark.parametrize("day", ["0001-01-01T00:00:00+03:00", "9999-12-31T23:59:59-03:00"])
def test_an_impossible_date_that_is_stored_counts_as_none_and_is_named(grouper, tmp_path, capsys, recwarn, day):
    with DuplicateIndex.open(tmp_path / "old", grouper) as index:
        index.add([Case(HOLE, id="h-1", created_at="2026-03-01"), Case(POWER, id="p-1"), Case(POWER_ELSEWHERE)])
        with index._store.transaction():  # as a version stored it that took any date
            index._store.change("UPDATE cases SET created_at = ? WHERE id = 'h-1'", day)
            index._store.change("UPDATE groups SET closed_at = '9999-12-31T00:00:00+00:00' WHERE id = 2")
        assert index.close_incident(1)[0].kind == "closed"
        assert [(one.first_day, one.last_week) for one in index.incidents(1)] == [(None, 0)] * 3
        assert index.add([Case(HOLE, id="h-2", created_at="2026-03-02"), Case(POWER_COPY, created_at="2026-03-02")])
        assert index.query(HOLE)[0].incident_id == 1
        assert export_incidents(index, tmp_path / "incidents.csv") == len(index.incidents(1))
    assert [case.created_at for case in DuplicateIndex.read_cases(tmp_path / "old")][:2] == [None, None]
    for _ in ("as it was", "rebuilt"):
        assert DuplicateIndex.verify(tmp_path / "old").impossible_dates == ("case 'h-1'", "incident 2")
        assert main(["index", "verify", str(tmp_path / "old")]) == 0
        assert "impossible dates: case 'h-1', incident 2;" in capsys.readouterr().out
        if not (tmp_path / "old.old").exists():
            rebuild_index(tmp_path / "old", grouper)
    assert not recwarn.list


def test_a_case_without_an_id_gets_one_that_no_other_has(index):
    index.add([Case(HOLE, id="case-1")])
    names = [assignment.id for assignment in index.add([POWER, POWER_ELSEWHERE, Case(POWER_COPY, id="case-3")])]
    assert len({"case-1", *names}) == 4 and len(index) == 4
    assert [index.text(name) for name in names] == [POWER, POWER_ELSEWHERE, POWER_COPY]


def test_half_of_a_surrogate_pair_is_stored_as_its_escape_and_known_again(grouper, index, tmp_path):
    broken = Case(POWER + " \ud83d", id="c-\udc00", place="مجمع 1203 \ud83d", topic="\ud83d")
    placed, copy = index.add([broken, Case(POWER_COPY, topic="\ud83d")])
    assert placed.is_new and copy.incident_id == placed.incident_id
    assert index.add([broken, broken])[0].incident_id == placed.incident_id and len(index) == 2
    with pytest.raises(ValueError, match="is already in .* with another text"):
        index.add([Case(POWER + " \ud83e", id=broken.id)])
    assert index.text(broken.id) == POWER + r" \ud83d" and broken.id in index
    assert index.assignment(broken.id).incident_id == placed.incident_id
    assert r"c-\udc00" in index.assignments() and index.query(broken)[0].incident_id == placed.incident_id
    with DuplicateIndex.open(tmp_path / "filled", grouper) as filled:
        filled.load_groups(grouper.group([broken, POWER_COPY]))
        assert filled.text(broken.id) == index.text(broken.id)
    index.remove(broken.id)
    assert broken.id not in index


def test_what_is_no_case_or_has_a_vector_of_another_size_adds_nothing(index):
    with pytest.raises(InvalidTextError, match="case 1 is a int"):
        index.add([POWER, 7])
    with pytest.raises(InvalidTextError, match=r"shape \(3,\), expected"):
        index.add([POWER, Case(HOLE, embedding=np.zeros(3, np.float32))])
    with pytest.raises(InvalidTextError, match="the embedding of case 1 has the length 11.3, expected 1; pass a row"):
        index.add([POWER, Case(HOLE, embedding=np.ones(128, np.float32))])
    assert len(index) == 0


def test_removing_a_member_or_a_representative_keeps_the_incidents_id(index):
    index.add([Case(POWER, id="p-1"), Case(POWER_COPY, id="p-2"), Case(POWER_COPY + " رجاء", id="p-3")])
    (before,) = index.incidents()
    index.remove("p-1")
    (after,) = index.incidents()
    assert after.incident_id == before.incident_id and set(after.members) == {"p-2", "p-3"}
    assert after.scores[0] == 1.0 and after.reasons[0] == "representative"
    assert index.query(POWER)[0].incident_id == before.incident_id
    assert index.add([Case(POWER, id="p-1")])[0].incident_id == before.incident_id
    for name in ("p-1", "p-2", "p-3"):
        index.remove(name)
    assert len(index) == 0 and index.query(POWER) == []
    with pytest.raises(KeyError, match="no case 'p-1'"):
        index.remove("p-1")
    assert index.add([Case(POWER, id="p-4")])[0].incident_id > before.incident_id, (
        "an id of an incident is never used again"
    )


def test_the_text_and_vectors_of_a_removed_case_are_gone_from_the_disk(grouper, tmp_path, monkeypatch):
    def on_disk():
        return b"".join(path.read_bytes() for path in (tmp_path / "index").iterdir())

    with monkeypatch.context() as patched, DuplicateIndex.open(tmp_path / "index", grouper) as index:
        patched.setattr("tawasul_nlp.duplicates.index.index_folder._UNSAVED", 1)
        index.add([Case(POWER, id="p-1"), Case(HOLE, id="h-1"), Case(POWER_AGAIN, id="p-2")])
        vectors = [
            (index._store.values("vector", [row])[row], index._store._graph.get(row).tobytes()) for row in range(3)
        ]
        index.close()
    assert all(vector in on_disk() for both in vectors for vector in both)
    with DuplicateIndex.open(tmp_path / "index", grouper) as index:
        index.remove("h-1")
        index.remove("p-2")
    left = on_disk()
    assert POWER.encode() in left and HOLE.encode() not in left and POWER_AGAIN.encode() not in left
    assert [[vector in left for vector in both] for both in vectors] == [[True, True], [False, False], [False, False]]


def test_an_index_that_cannot_save_its_graph_is_closed_all_the_same(grouper, tmp_path, monkeypatch):
    def full_disk(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tawasul_nlp.duplicates.index.index_folder._UNSAVED", 1)
    index = DuplicateIndex.open(tmp_path / "index", grouper)
    index.add([POWER])
    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space left"):
        patched.setattr("tawasul_nlp.duplicates.index.index_folder.IndexFolder._save_graph", full_disk)
        index.close()
    with DuplicateIndex.open(tmp_path / "index", grouper) as again:
        assert len(again) == 1


def test_an_empty_index_answers_with_nothing_and_a_closed_one_says_so(index):
    nothing = index.add([])
    assert len(nothing) == len(index) == index.stats()["cases"] == 0 and nothing.changes == ()
    assert index.query(POWER) == index.incidents() == []
    index.close()
    index.close()
    for use in (lambda: index.query(POWER), lambda: index.add([POWER]), lambda: len(index), lambda: index.stats()):
        with pytest.raises(ValueError, match="closed; open it again"):
            use()


def test_others_may_ask_while_the_model_reads_the_cases_to_add_and_changes_wait(index, monkeypatch):
    first, hole = index.add([POWER, HOLE])
    answered, removed, reading = threading.Event(), threading.Event(), threading.Event()
    forward = index.grouper.classifier._forward

    def slow(texts):
        if texts == [POWER_COPY]:
            reading.set()
            assert answered.wait(HANG) and not removed.is_set()
        return forward(texts)

    def remove():
        index.remove(hole.id)
        removed.set()

    monkeypatch.setattr(index.grouper.classifier, "_forward", slow)
    with ThreadPoolExecutor(2) as pool:
        adding = pool.submit(index.add, [POWER_COPY])
        assert reading.wait(HANG)
        removing = pool.submit(remove)
        assert index.query(POWER_AGAIN, k=1)[0].incident_id == first.incident_id and len(index) == 2
        answered.set()
        assert adding.result(HANG)[0].incident_id == first.incident_id
        removing.result(HANG)
    assert len(index) == 2 and hole.id not in index


def test_threads_may_share_an_index_and_any_of_them_may_close_it(grouper, tmp_path, corpus):
    index = DuplicateIndex.open(tmp_path / "index", grouper)
    threads = [threading.Thread(target=index.add, args=(corpus[part::4][:15],)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(index.assignments()) == {case.id for case in corpus[:60]} and len(index) == 60
    closer = threading.Thread(target=index.close)
    closer.start()
    closer.join()
    with DuplicateIndex.open(tmp_path / "index", grouper) as again:
        assert len(again) == 60


# -- what lasts --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_adding_one_by_one_gives_nearly_the_groups_of_grouping_at_once_and_what_a_query_says(grouper, index, corpus):
    joined = 0
    for case in corpus:
        said = {match.incident_id for match in index.query(case, k=50) if match.is_duplicate}
        placed = index.add([case])[0]
        assert placed.is_new is not bool(said) and (placed.is_new or placed.incident_id in said)
        joined += not placed.is_new
    assert joined > 80
    assignments = index.assignments()
    one_by_one = [assignments[case.id].incident_id for case in corpus]
    at_once = grouper.group(corpus)
    assert len(at_once.groups) > 30
    assert adjusted_rand_score(at_once.labels, one_by_one) >= 0.9
    assert min(min(incident.scores) for incident in index.incidents()) >= grouper.threshold


@pytest.fixture
def large(index):
    """An incident of 60 reports."""
    signers = [first + last for first in ("علي ", "مريم ", "حسن ", "فاطمة ") for last in "ابتثجحخدذرزسشصض"]
    index.add([Case(f"{POWER} - {signer}") for signer in signers])
    (large,) = index.incidents()
    assert len(large.members) == 60
    return large


def test_a_case_joins_the_large_incident_that_it_is_most_like_and_no_small_one_beside_it(grouper, index, large):
    small = index.add(["الليت طافي عندنا في مجمع 1203"])[0]
    assert small.incident_id != large.incident_id
    case = "الليت طافي في مدينة حمد مجمع 1203 من ساعتين ومحد يرد علينا في الطوارئ"
    likeliest, other = index.query(case)
    assert (likeliest.incident_id, other.incident_id) == (large.incident_id, small.incident_id)
    assert other.score > grouper.threshold
    assert index.add([case])[0].incident_id == large.incident_id


def test_decisions_in_a_large_incident_last_when_its_representative_goes(index, large):
    (hole,) = index.add([HOLE])
    index.split(large.members[7])
    index.merge([large.incident_id, hole.incident_id])
    index.split(large.members[9])
    index.remove(large.representative)
    after = set(index.incident(large.incident_id).members)
    assert len(after) == 58 and hole.id in after and not after & {large.members[7], large.members[9]}
    assert index.add([f"{POWER} - جعفر"])[0].incident_id == large.incident_id
    assert not list(index_reference.wrong(index))


def on_a_circle(*degrees):
    """Return cases whose vectors lie at these angles."""
    radians = np.radians(degrees)
    vectors = np.zeros((len(degrees), 128), np.float32)
    vectors[:, 0], vectors[:, 1] = np.cos(radians), np.sin(radians)
    return [Case("الكهربا طافية", id=str(at), embedding=row) for at, row in zip(degrees, vectors, strict=True)]


@pytest.fixture
def by_angle(grouper, tmp_path):
    """An index in which cases match whose vectors are at most 34 degrees apart."""
    steep = [60 * (float(name.split("@")[1]) - 0.82) if name.startswith("cosine@") else 0.0 for name in NAMES]
    copied = DuplicateGrouper(grouper.classifier, threshold=0.5)
    copied.scorer = PairScorer(np.array(steep), 0.0, 0.5)
    with DuplicateIndex.open(tmp_path / "index", copied) as index:
        yield index


def test_a_case_that_only_a_member_matches_is_no_duplicate_for_a_query_either(by_angle):
    by_angle.add(on_a_circle(34, 60, 90, 92))
    (incident,) = by_angle.incidents()
    assert incident.representative == "60" and len(incident.members) == 4
    (beside,) = on_a_circle(0)
    (match,) = by_angle.query(beside)
    assert match.score > 0.5 and not match.is_duplicate
    assert by_angle.add([beside])[0].is_new


def test_the_reports_of_one_incident_do_not_hide_another(by_angle):
    by_angle.add(on_a_circle(*np.linspace(36, 38, 40).tolist(), 39.5))
    (placed,) = by_angle.add(on_a_circle(-45))
    assert placed.is_new
    assert placed.incident_id in {match.incident_id for match in by_angle.query(*on_a_circle(-3))}


def test_closed_incidents_do_not_hide_an_open_one(by_angle):
    for case in on_a_circle(*np.linspace(0, 4, 40).tolist()):
        (placed,) = by_angle.add([case])
        assert placed.is_new
        by_angle.close_incident(placed.incident_id, at=datetime(2020, 1, 1))
    (still_open,) = by_angle.add(on_a_circle(30))
    assert still_open.incident_id in {match.incident_id for match in by_angle.query(*on_a_circle(-3), k=50)}
    assert by_angle.add(on_a_circle(-3))[0].incident_id == still_open.incident_id


def test_dates_keep_incidents_apart_in_an_index_as_in_a_grouping(grouper, index):
    first = index.add([Case(POWER, id="2019", created_at="2019-01-01T08:00:00+03:00"), Case(POWER_COPY, id="undated")])
    assert first[0].incident_id == first[1].incident_id
    late = Case(POWER + "!", id="2026", created_at="2026-01-01")
    assert not index.query(late)[0].is_duplicate
    assert index.add([late])[0].is_new
    assert index.add([Case(POWER + " رجاء", id="2026-2", created_at="2026-01-03")])[0].incident_id == (
        index.assignment("2026").incident_id
    )


# -- what cannot be opened ---------------------------------------------------------------------------------------------


@pytest.fixture
def folder(grouper, tmp_path, corpus):
    """A closed index of 20 cases."""
    with DuplicateIndex.open(tmp_path / "index", grouper) as index:
        index.add(corpus[:20])
    return tmp_path / "index"


def test_an_index_keeps_the_threshold_that_decided_last(grouper, tmp_path):
    strict = DuplicateGrouper(grouper.classifier, threshold=1.0)
    with DuplicateIndex.open(tmp_path / "index", strict) as index:
        index.add([Case(POWER, id="p-1"), Case(POWER_COPY, id="p-2")])
        assert not index.incidents()
    with DuplicateIndex.open(tmp_path / "index", grouper) as index:
        assert index.stats()["threshold"] == 1.0
        index.add([Case(POWER_COPY + " رجاء", id="p-3")])
        assert not index.incidents()
    given = DuplicateGrouper(grouper.classifier, threshold=grouper.threshold)
    with DuplicateIndex.open(tmp_path / "index", given) as index:
        assert index.query(POWER)[0].is_duplicate, "asking with another threshold changes nothing"
    with DuplicateIndex.open(tmp_path / "index", grouper) as index:
        assert not index.query(POWER)[0].is_duplicate
    with DuplicateIndex.open(tmp_path / "index", given) as index:
        index.add([Case(POWER + " رجاء", id="p-4")])
        assert index.incidents()
    with DuplicateIndex.open(tmp_path / "index", grouper) as index:
        assert index.stats()["threshold"] == grouper.threshold


def test_a_filled_index_goes_on_with_the_threshold_of_the_grouping(grouper, tmp_path):
    with DuplicateIndex.open(tmp_path / "index", grouper) as index:
        with pytest.raises(ValueError, match="two cases have the id 'c-1'; give"):
            index.load_groups(grouper.group([Case(POWER, id="c-1"), Case(HOLE, id="c-1")]))
        index.load_groups(grouper.group([Case(POWER, id="p-1"), Case(HOLE, id="h-1")]).rethreshold(1.0))
        assert index.add([Case(POWER_COPY, id="p-2")])[0].is_new
    with DuplicateIndex.open(tmp_path / "index", grouper) as index:
        assert index.add([Case(POWER_COPY + " رجاء", id="p-3")])[0].is_new


def spoil(change):
    def harm(folder):
        path = folder / "index.sqlite"
        path.write_bytes(change(path.read_bytes()))

    return harm


def set_fact(name, value):
    def change(folder):
        with closing(IndexDatabase(folder)) as database, database.committed():
            database.keep(**{name: value})

    return change


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        *(
            (spoil(change), rf"index.sqlite: damaged \({reason}.*\); restore the folder from a backup, or")
            for change, reason in (
                (lambda data: "ليس قاعدة بيانات".encode() * 100, "file is not a database"),
                (lambda data: b"", "it is empty"),
                (lambda data: data[: len(data) // 2], ""),
                (lambda data: data.replace(b"CREATE TABLE meta", b"CREATE T\x95BLE meta"), "'utf-8' codec"),
            )
        ),
        (set_fact("format_version", "8"), "format version 8, this library reads 7; upgrade tawasul-nlp"),
        (set_fact("format_version", "6"), "format version 6, this library reads 7; create a new index"),
        (
            set_fact("model_hash", "0123456789abcdef"),
            r"created with model 0123456789abcdef, opened with .*open it with the .*tawasul index rebuild",
        ),
    ],
)
def test_what_cannot_be_opened_says_what_to_do_and_is_left_as_it_is(grouper, folder, harm, message):
    harm(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".sqlite"}
    for _ in range(2):  # the lock is let go, so the second time gives the same answer
        with pytest.raises(IndexFormatError, match=message):
            DuplicateIndex.open(folder, grouper)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".sqlite"} == before


def test_a_saved_graph_is_taken_up_with_what_came_and_went_since(grouper, tmp_path, corpus, monkeypatch):
    # Else only ten thousand cases are worth saving.
    monkeypatch.setattr("tawasul_nlp.duplicates.index.index_folder._UNSAVED", 10)
    folder = tmp_path / "index"
    with DuplicateIndex.open(folder, grouper) as index:
        index.add(corpus[:20])
    assert [path.name for path in folder.glob("graph*")] == ["graph-20.usearch"]
    with DuplicateIndex.open(folder, grouper) as index:
        index.add(corpus[20:25])
    assert [path.name for path in folder.glob("graph*")] == ["graph-20.usearch"]
    with DuplicateIndex.open(folder, grouper) as index:
        index.remove(corpus[3].id)
        before = index.assignments()
    # A graph that has a removed case's vector does not stay.
    assert [path.name for path in folder.glob("graph*")] == ["graph-25.usearch"]
    with DuplicateIndex.open(folder, grouper) as index:
        assert index.assignments() == before
        present = [*corpus[:3], *corpus[4:25]]
        assert all(index.query(case)[0].incident_id == before[case.id].incident_id for case in present)
        index.add(corpus[25:40])
    assert [path.name for path in folder.glob("graph*")] == ["graph-40.usearch"]


def test_a_folder_that_is_no_index_is_refused_and_one_that_cannot_be_made(grouper, tmp_path):
    with pytest.raises(IndexFormatError, match="no index here"):
        DuplicateIndex.open(tmp_path / "absent", grouper, create=False)
    assert not (tmp_path / "absent").exists()
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "رسالة.txt").write_text("نص", encoding="utf-8")
    with pytest.raises(IndexFormatError, match="not empty and not an index; choose a new folder"):
        DuplicateIndex.open(tmp_path / "letters", grouper)
    with pytest.raises(IndexFormatError, match="a file, expected a folder"):
        DuplicateIndex.open(tmp_path / "letters" / "رسالة.txt", grouper)
    with pytest.raises(IndexDiskError, match="the folder cannot be created .*; choose another"):
        DuplicateIndex.open(tmp_path / "letters" / "رسالة.txt" / "index", grouper)
