"""Over HTTP an index takes cases and people's decisions, tells what changed, and says what it cannot do."""

import re
import sys
from datetime import datetime

import pytest

from tawasul_nlp import DuplicateGrouper, DuplicateIndex
from tawasul_nlp.errors import IndexDiskError

testclient = pytest.importorskip("fastapi.testclient", reason="the extra `service` is not installed")

from tawasul_nlp.service import BearerTokens, create_app  # noqa: E402

OUTAGE = "انقطع التيار الكهربائي عن مجمع 1203 بمدينة حمد منذ ساعتين ولا أحد يرد"
AGAIN = "الكهربا طافية علينا في مدينة حمد مجمع 1203 من ساعتين ومحد يرد"
HOLE = "حفرة كبيرة في شارع المعارض بالحورة كسرت تاير سيارتي"
TOKENS = {"portal": "portal-token-portal-token", "officers": "officers-token-officers-token"}


@pytest.fixture
def index(tmp_path, classifier):
    with DuplicateIndex.open(tmp_path / "incidents", DuplicateGrouper(classifier)) as index:
        yield index


@pytest.fixture
def client(classifier, index):
    with testclient.TestClient(create_app(classifier, index)) as client:
        yield client


def add(client, **texts):
    cases = [{"id": name, "text": text, "created_at": "2026-03-01"} for name, text in texts.items()]
    answer = client.post("/incidents/add", json={"cases": cases})
    assert answer.status_code == 200, answer.text
    return answer.json()


def decide(client, what, **decision):
    answer = client.post(f"/incidents/{what}", json=decision)
    assert answer.status_code == 200, answer.text
    return answer.json()["changes"]


def test_an_added_case_is_in_the_index_with_what_it_changed_and_another_text_under_its_id_is_refused(client, index):
    first = add(client, A1=OUTAGE, A2=HOLE)
    assert [(one["id"], one["is_new"]) for one in first["assignments"]] == [("A1", True), ("A2", True)]
    joined = add(client, A3=AGAIN)
    assert [(one["kind"], one["incident"], one["case_id"]) for one in joined["changes"]] == [("joined", 1, "A3")]
    assert index.text("A3") == AGAIN and index.assignment("A3").incident_id == 1
    assert client.get("/incidents/of-case", params={"case_id": "A3"}).json()["incident_id"] == 1
    assert add(client, A1=OUTAGE)["changes"] == [], "the same once more"
    answer = client.post("/incidents/add", json={"cases": [{"id": "A1", "text": HOLE}, {"id": "A4", "text": HOLE}]})
    assert answer.status_code == 409 and "with another text" in answer.json()["detail"]
    assert HOLE not in answer.text and str(index.folder) not in answer.text
    assert list(index.assignments()) == ["A1", "A2", "A3"]


def test_a_new_report_finds_its_incident_and_nothing_is_stored(client, index):
    add(client, A1=OUTAGE, A2=HOLE)
    answer = client.post("/incidents/query", json={"text": AGAIN, "k": 1, "created_at": "2026-03-02T08:00:00+03:00"})
    (match,) = answer.json()["incidents"]
    assert (match["representative"], match["is_duplicate"], match["is_closed"]) == ("A1", True, False)
    assert OUTAGE not in answer.text and len(index) == 2
    unplaced = "انقطع التيار الكهربائي منذ ساعتين ولا أحد يرد"
    for place, duplicates in ("مجمع 1203", ["A1"]), ("مجمع 714", []):
        incidents = client.post("/incidents/query", json={"text": unplaced, "place": place}).json()["incidents"]
        assert [one["representative"] for one in incidents if one["is_duplicate"]] == duplicates
        assert ("A1" in [one["representative"] for one in incidents]) == bool(duplicates), "the places conflict"


def test_incidents_are_listed_with_the_largest_first_and_described_alone(client):
    add(client, A1=HOLE, A2=OUTAGE, A3=AGAIN)
    listed = client.get("/incidents", params={"min_size": 1}).json()["incidents"]
    assert [one["members"] for one in listed] == [["A2", "A3"], ["A1"]]
    assert client.get("/incidents", params={"min_size": 1, "limit": 1}).json()["incidents"] == listed[:1]
    assert [one["members"] for one in client.get("/incidents").json()["incidents"]] == [["A2", "A3"]]
    filters = ({"after": 1}, {"agency": "ewa"}, {"place": "مجمع 1203"}, {"changed_since": "2026-01-01T08:00:00Z"})
    for asked, expected in zip(filters, (listed[:1], listed[:1], listed[:1], listed), strict=True):
        assert client.get("/incidents", params={"min_size": 1, **asked}).json()["incidents"] == expected, asked
    assert client.get("/incidents", params={"min_size": 1, "state": "closed"}).json()["incidents"] == []
    for wrong in ({"state": "shut"}, {"after": -1}, {"changed_since": "1700000000"}):
        assert client.get("/incidents", params=wrong).status_code == 422, wrong
    alone = client.get(f"/incidents/{listed[0]['incident_id']}").json()
    assert alone == listed[0] and alone["agency"] == "ewa" and alone["first_day"] == "2026-03-01"
    for path, status in {"7": 404, "7/history": 404, "of-case?case_id=absent": 404, "seven": 422}.items():
        assert client.get(f"/incidents/{path}").status_code == status


def test_people_merge_split_move_close_and_reopen_and_the_history_has_it(client, index):
    add(client, A1=OUTAGE, A2=HOLE, A3="المجاري طافحة عندنا من اسبوع في مجمع 714")
    kinds = [
        *decide(client, "merge", incidents=[1, 2], by="نورة", note="محول واحد"),
        *decide(client, "split", case_id="A2"),
        *decide(client, "move", case_id="A2", incident=3),
        *decide(client, "close", incident=3, at="2026-03-05T10:00:00Z"),
        *decide(client, "reopen", incident=3),
        *decide(client, "remove", case_id="A2"),
    ]
    expected = ["merged", "split", "moved", "closed", "reopened", "removed"]
    assert [change["kind"] for change in kinds] == expected
    assert (kinds[0]["by"], kinds[0]["note"], kinds[0]["by_person"]) == ("نورة", "محول واحد", True)
    assert datetime.fromisoformat(kinds[3]["at"]).isoformat() == "2026-03-05T10:00:00+00:00"
    told = client.get("/incidents/3/history").json()["changes"]
    assert [one["kind"] for one in told] == [one.kind for one in index.history(3)]
    feed = client.get("/events").json()["changes"]
    assert [one["id"] for one in feed] == [event.id for event in index.events()]
    assert client.get("/events", params={"after": feed[3]["id"], "limit": 2}).json()["changes"] == feed[4:6]
    assert len(index) == 2 and index.assignment("A1").incident_id == 1


@pytest.mark.parametrize(
    ("what", "body", "status", "told"),
    [
        ("merge", {"incidents": [1, 99]}, 404, "no incident 99 in the index"),
        ("merge", {"incidents": [1, 1]}, 409, "at least two different"),
        ("merge", {"incidents": [1]}, 422, ""),
        ("split", {"case_id": "absent"}, 404, "no case 'absent' in the index"),
        ("split", {"case_id": "A1"}, 409, "nothing to split"),
        ("move", {"case_id": "A1", "incident": 1}, 409, "in incident 1 already"),
        ("close", {"incident": 99}, 404, "no incident 99"),
        ("close", {"incident": 2**63}, 422, ""),
        ("close", {"incident": 1, "at": "2199-01-01"}, 409, "in the future"),
        ("add", {"cases": [{"id": "A1", "text": OUTAGE, "place": "مجمع 711"}]}, 409, "with another place"),
        ("reopen", {"incident": 1}, 409, "open already"),
        ("remove", {"case_id": "absent"}, 404, "no case 'absent'"),
        ("close", {"incident": 1, "notes": "misspelt"}, 422, ""),
        ("add", {"cases": [{"text": HOLE}]}, 422, ""),
        ("add", {"cases": [{"id": " ", "text": HOLE}]}, 422, ""),
        ("add", {"cases": [{"id": "B", "text": HOLE, "created_at": HOLE}]}, 422, ""),
        ("add", {"cases": []}, 422, ""),
    ],
)
def test_what_cannot_be_done_says_why_and_changes_nothing(client, index, what, body, status, told):
    add(client, A1=OUTAGE, A2=HOLE)
    before = index.history()
    answer = client.post(f"/incidents/{what}", json=body)
    assert answer.status_code == status and told in answer.text
    assert HOLE not in answer.text and str(index.folder) not in answer.text
    assert index.history() == before


def test_a_disk_that_is_full_refuses_the_change_and_says_so(client, index, monkeypatch):
    def full(self, cases):
        raise IndexDiskError(f"{self.folder}: the disk is full; nothing was added")

    monkeypatch.setattr(DuplicateIndex, "add", full)
    answer = client.post("/incidents/add", json={"cases": [{"id": "A1", "text": HOLE}]})
    assert (answer.status_code, answer.json()) == (507, {"detail": "the index: the disk is full; nothing was added"})


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit of files")
def test_it_is_not_ready_where_a_change_would_fail_and_is_again_when_it_would_not(client, index):
    import resource

    add(client, A1=OUTAGE)
    assert client.get("/ready").status_code == 200
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        cases = [{"id": f"B{number}", "text": f"{HOLE} {number} " + "س" * 9_000} for number in range(16)]
        assert client.post("/incidents/add", json={"cases": cases}).status_code == 507
        answer = client.get("/ready")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert answer.status_code == 503 and "the index: 16,000,000 bytes cannot be written" in answer.json()["detail"]
    assert str(index.folder) not in answer.text
    assert client.get("/ready").status_code == 200 and len(index) == 1
    index.close()
    answer = client.get("/ready")
    assert (answer.status_code, answer.json()) == (503, {"detail": "the index: this index is closed; open it again"})
    assert client.get("/metrics").status_code == 200


def test_metrics_tell_how_large_the_index_is(client):
    add(client, A1=OUTAGE, A2=AGAIN, A3=HOLE)
    decide(client, "close", incident=1)
    metrics = client.get("/metrics").text
    for line in ("cases 3.0", 'incidents{state="open"} 1.0', 'incidents{state="closed"} 1.0'):
        assert f"tawasul_index_{line}\n" in metrics
    assert float(re.search(r"^tawasul_index_bytes (.+)$", metrics, re.MULTILINE)[1]) > 10_000


# -- who may ask -------------------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(classifier, index, tmp_path):
    path = tmp_path / "tokens"
    path.write_text(
        "# who may ask\n\n" + "".join(f"{name} {token} remove\n" for name, token in TOKENS.items()), "utf-8"
    )
    with testclient.TestClient(create_app(classifier, index, authenticate=BearerTokens(path))) as client:
        yield client


@pytest.mark.parametrize("given", [None, "Bearer", "Bearer portal", "Basic " + TOKENS["portal"], "Bearer س"])
def test_without_a_known_token_nothing_is_answered_but_probes_and_the_documentation(guarded, index, given):
    headers = {} if given is None else {"Authorization": given.encode()}
    answers = [guarded.get(f"/{path}", headers=headers) for path in ("metrics", "info", "incidents")]
    for path, body in {"predict": {"texts": [HOLE]}, "incidents/add": {"cases": [{"id": "A1", "text": HOLE}]}}.items():
        answers.append(guarded.post(f"/{path}", json=body, headers=headers))
    assert {answer.status_code for answer in answers} == {401}
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {"Bearer"}
    assert len(index) == 0
    for path in ("/live", "/ready", "/docs", "/openapi.json"):
        assert guarded.get(path).status_code == 200


def test_a_decision_is_the_clients_unless_it_names_an_officer_and_the_log_has_no_token(guarded, caplog):
    guarded.headers["Authorization"] = f"Bearer {TOKENS['officers']}"
    with caplog.at_level("INFO", logger="tawasul_nlp"):
        add(guarded, A1=OUTAGE, A2=HOLE)
    (record,) = caplog.records
    assert record.facts["client"] == "officers" and TOKENS["officers"] not in str(vars(record))
    assert decide(guarded, "close", incident=1)[0]["by"] == "officers"
    assert decide(guarded, "reopen", incident=1, by="نورة")[0]["by"] == "نورة"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("portal", ":1: has 1 words"),
        ("portal portal-token-portal-token all", ":1: has 3 words"),
        ("# nobody\n", ":1: names no client"),
        ("portal too-short read", ":1: the token has 9 characters, expected at least 20"),
        (f"a {'x' * 20} read\nb {'x' * 20} remove", ":2: a line above has this token"),
    ],
)
def test_a_file_of_tokens_that_is_not_one_is_refused_without_its_tokens(tmp_path, content, told):
    path = tmp_path / "tokens"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=told) as caught:
        BearerTokens(path)
    assert "too-short" not in str(caught.value) and "x" * 20 not in str(caught.value)


def test_a_platforms_own_authentication_takes_the_place_of_tokens(classifier, index):
    async def officer(request):
        return request.headers["x-officer"]

    with testclient.TestClient(create_app(classifier, index, authenticate=officer)) as client:
        client.headers["X-Officer"] = "noora"
        add(client, A1=OUTAGE)
        assert decide(client, "close", incident=1)[0]["by"] == "noora"
