"""What a service refuses before it reads a body, and what it answers whatever else happens to it."""

import json
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPResponse
from pathlib import Path

import httpx
import pytest

from eval.processes import serving
from tawasul_nlp import ComplaintClassifier, DuplicateGrouper, DuplicateIndex
from tests.waiting import HANG, wait_until

testclient = pytest.importorskip("fastapi.testclient", reason="the extra `service` is not installed")

from tawasul_nlp.service import BearerTokens, Limits, create_app  # noqa: E402

HOLE = "حفرة كبيرة في شارع المعارض بالحورة كسرت تاير سيارتي"
TOKEN = "portal-token-portal-token"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    (folder / "tokens").write_text(f"portal {TOKEN} read\n", encoding="utf-8")
    with serving(folder / "log", "--tokens", str(folder / "tokens"), "--allowed-host", "Portal.example") as served:
        yield served


def connected(served):
    host, port = served.address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=HANG)


def test_a_request_without_a_token_is_answered_before_its_body_is_sent(served):
    with connected(served) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999\r\n\r\n")
        assert connection.recv(1_000).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\xd8\xad\xd9\x81\xd8\xb1\xd8\xa9\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 421),
        (b"GET /live HTTP/1.1\r\nNo Header\r\n\r\n", 400),
        (b"GET /live HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"GET /live HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000, 400),
        (b"GET /predict/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n" % TOKEN.encode(), 404),
        (b"DELETE /live HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"GET /docs/assets/absent HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 200),
    ],
)
def test_every_answer_is_json_with_an_id_that_the_log_has_once(served, sent, status):
    with connected(served) as connection:
        connection.sendall(sent)
        response = HTTPResponse(connection)
        response.begin()
        body = json.loads(response.read())
    assert response.status == status and ("detail" in body) == (status != 200)
    request_id = response.headers["X-Request-ID"]
    if b"/live" in sent and status != 400:  # of probes, the log has nothing
        return

    def logged():
        lines = map(json.loads, served.log.read_text(encoding="utf-8").splitlines())
        return [line["status"] for line in lines if line.get("request_id") == request_id and "status" in line]

    wait_until(logged)
    assert logged() == [status]
    counted = httpx.get(f"{served.address}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
    assert f'tawasul_requests_total{{path="other",status="{status}"}}' in counted


@pytest.mark.parametrize(
    ("host", "status"), [("localhost:80", 200), ("[::1]:80", 200), ("PORTAL.example", 200), ("evil.example", 421)]
)
def test_a_request_for_another_host_is_refused_but_a_probe_may_ask_by_any_name(served, host, status):
    headers = {"Host": host, "Authorization": f"Bearer {TOKEN}"}
    assert httpx.get(f"{served.address}/info", headers=headers).status_code == status
    assert httpx.get(f"{served.address}/live", headers=headers).status_code == 200


def test_a_role_allows_what_those_below_it_do_and_no_more(classifier, tmp_path):
    tokens = {role: f"token-{role}-{'x' * 12}" for role in ("read", "decide", "remove")}
    (tmp_path / "tokens").write_text("".join(f"{role} {token} {role}\n" for role, token in tokens.items()))
    requests = [
        ("query", {"text": HOLE}),
        ("add", {"cases": [{"id": "A1", "text": HOLE}]}),
        ("remove", {"case_id": "A1"}),
    ]

    def statuses(role):
        headers = {"Authorization": f"Bearer {tokens[role]}"}
        return [client.post(f"/incidents/{path}", json=body, headers=headers).status_code for path, body in requests]

    with (
        DuplicateIndex.open(tmp_path / "index", DuplicateGrouper(classifier)) as index,
        testclient.TestClient(create_app(classifier, index, authenticate=BearerTokens(tmp_path / "tokens"))) as client,
    ):
        assert [statuses(role) for role in tokens] == [[200, 403, 403], [200, 200, 403], [200, 200, 200]]


def test_connections_that_ask_nothing_keep_nobody_out(served):
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(connected(served))
        assert httpx.get(f"{served.address}/live").status_code == 200
        answer = httpx.get(f"{served.address}/info", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200


def test_more_requests_than_are_answered_at_once_get_503_and_probes_do_not(classifier, monkeypatch):
    began, done = threading.Event(), threading.Event()

    def slow(self, texts):
        began.set()
        assert texts == "نص" or done.wait(HANG)
        return []

    monkeypatch.setattr(ComplaintClassifier, "predict", slow)
    app = create_app(classifier, limits=Limits(max_requests=1))
    with testclient.TestClient(app) as client, ThreadPoolExecutor(1) as pool:
        began.clear()
        first = pool.submit(client.post, "/predict", json={"texts": [HOLE]})
        try:
            assert began.wait(HANG)
            refused = client.get("/info")
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1") and refused.json()["detail"]
            assert client.get("/live").status_code == client.get("/ready").status_code == 200
        finally:
            done.set()
        first.result(HANG)


def test_a_body_that_is_wrong_everywhere_gets_a_short_answer(classifier):
    with testclient.TestClient(create_app(classifier)) as client:
        for body in ({"texts": [7] * 100_000}, {"س" * 50_000: 1}, {"texts": [{HOLE * 50: 1}]}):
            answer = client.post("/predict", json=body)
            assert answer.status_code == 422 and len(answer.content) < 2_000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("close", {"incident": True}),
        ("close", {"incident": "1"}),
        ("close", {"incident": 2**63}),
        ("close", {"incident": 1, "at": 1_700_000_000_000}),
        ("merge", {"incidents": [1, True]}),
        ("query", {"text": HOLE, "created_at": "1700000000"}),
        ("query", {"text": HOLE, "created_at": "9999-12-31"}),
        ("add", {"cases": [{"id": "A2", "text": HOLE, "created_at": "0001-01-01T00:00+03:00"}]}),
        ("close", {"incident": 1, "at": "9999-12-31T23:59:59-03:00"}),
        ("query", {"text": HOLE, "k": "5"}),
    ],
)
def test_a_value_of_another_type_is_refused_and_not_converted(classifier, tmp_path, path, body):
    with (
        DuplicateIndex.open(tmp_path / "index", DuplicateGrouper(classifier)) as index,
        testclient.TestClient(create_app(classifier, index)) as client,
    ):
        index.add([{"id": "A1", "text": HOLE}])
        answer = client.post(f"/incidents/{path}", json=body)
        assert answer.status_code == 422 and answer.json()["detail"][0]["what"]
        assert client.get(f"/incidents?min_size={2**63}").status_code == 422


@pytest.mark.slow
def test_a_stop_under_load_answers_what_has_begun_and_refuses_what_waits(tmp_path, classifier):
    folder = tmp_path / "incidents"

    def add(number):
        cases = [{"id": f"{number}-{case}", "text": f"{HOLE} مجمع {number * 64 + case}"} for case in range(64)]
        with httpx.Client(base_url=served.address, timeout=HANG) as http:
            return number, http.post("/incidents/add", json={"cases": cases})

    with serving(tmp_path / "log", "--index", str(folder)) as served, ThreadPoolExecutor(16) as pool:
        adding = [pool.submit(add, number) for number in range(16)]
        wait_until(lambda: any(one.done() for one in adding), served.process)
        served.process.send_signal(signal.SIGTERM)
        answers = dict(one.result(HANG) for one in adding)
        assert served.process.wait(HANG) == 0
    refused = {number for number, answer in answers.items() if answer.status_code == 503}
    assert refused and {answer.status_code for answer in answers.values()} == {200, 503}
    assert all("X-Request-ID" in answer.headers for answer in answers.values())
    assert all("stopping" in answers[number].json()["detail"] for number in refused)
    with DuplicateIndex.open(folder, DuplicateGrouper(classifier), create=False) as index:
        stored = {int(case.split("-")[0]) for case in index.assignments()}
    assert stored == set(answers) - refused
    log = [json.loads(line) for line in Path(served.log).read_text(encoding="utf-8").splitlines()]
    assert not [line for line in log if line["level"] == "error"]


def test_the_index_decides_by_the_settings_of_the_service(tmp_path):
    days = ("2026-03-01T08:00:00+03:00", "2026-05-01T08:00:00+03:00")
    cases = [{"id": day, "text": HOLE, "created_at": day} for day in days]
    settings = ("--days", "3", "--no-verify", "--threshold", "0.6", "--reopen-days", "2")
    with serving(tmp_path / "log", "--index", str(tmp_path / "incidents"), *settings) as served:
        added = httpx.post(f"{served.address}/incidents/add", json={"cases": cases}, timeout=HANG).json()
    assert len({assignment["incident_id"] for assignment in added["assignments"]}) == 2
