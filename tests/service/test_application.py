"""The service answers as the library does, refuses what is too much, and never gives a citizen's text away."""

import json
import logging
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tawasul_nlp import ComplaintClassifier, DuplicateGrouper, DuplicateIndex, Prediction, __version__
from tawasul_nlp.prediction import Quote, Urgency

testclient = pytest.importorskip("fastapi.testclient", reason="the extra `service` is not installed")

from tawasul_nlp.service import Limits, create_app  # noqa: E402
from tawasul_nlp.service.middleware import JsonLines  # noqa: E402
from tawasul_nlp.service.schemas import MAX_CHARS, MAX_TEXTS, Predictions  # noqa: E402
from tests.waiting import HANG, wait_until  # noqa: E402

OUTAGE = "انقطع التيار الكهربائي عن مجمع 1203 بمدينة حمد منذ ساعتين ولا أحد يرد"
JSON = {"Content-Type": "application/json"}  # without it every body is refused, whatever is in it
HOLE = "حفرة كبيرة في شارع المعارض بالحورة كسرت تاير سيارتي"


@pytest.fixture(scope="module")
def index(tmp_path_factory, classifier):
    folder = tmp_path_factory.mktemp("index") / "incidents"
    with DuplicateIndex.open(folder, DuplicateGrouper(classifier)) as index:
        index.add([{"id": "A1", "text": OUTAGE}, {"id": "A2", "text": HOLE}])
        yield index


@pytest.fixture(scope="module")
def client(classifier, index):
    with testclient.TestClient(create_app(classifier, index, limits=Limits(max_body=200_000))) as client:
        yield client


def test_it_tells_that_it_lives_is_ready_and_what_it_answers_with(client, classifier):
    assert [client.get(f"/{state}").json() for state in ("live", "ready")] == [{"status": "live"}, {"status": "ready"}]
    assert client.get("/info").json() == {
        "version": __version__,
        "model": classifier.config.model_hash,
        "domain": f"bahrain {classifier.domain.version}",
        "index": {"cases": 2, "incidents": 2},
    }


def without_texts(answer):
    if isinstance(answer, dict):
        return {name: without_texts(value) for name, value in answer.items() if name != "text"}
    return [without_texts(item) for item in answer] if isinstance(answer, list) else answer


def test_predictions_are_the_librarys_own_in_the_same_order_without_the_texts(client, classifier):
    texts = [HOLE, OUTAGE, "", "😀", HOLE]
    answer = client.post("/predict", json={"texts": texts}).json()
    assert answer["predictions"] == [without_texts(one.to_dict()) for one in classifier.predict(texts)]
    described = Predictions.model_validate(answer)
    assert not any(one.model_extra for one in described.predictions), "every answer of this model has its form"
    assert described.model_dump(mode="json", exclude_unset=True) == answer, "the described form"


def test_an_emergency_is_counted_and_its_words_are_told_by_their_place(classifier, monkeypatch):
    text = "سلك مكشوف عند باب المدرسة"
    urgency = Urgency("emergency", "طارئ", "Emergency", 0.8, reasons=(Quote(text[:9], 0, 9),))
    prediction = Prediction(text, {}, reasons=("emergency",), urgency=urgency)
    monkeypatch.setattr(ComplaintClassifier, "predict", lambda self, texts: [prediction] * len(texts))
    with testclient.TestClient(create_app(classifier)) as client:
        answer = client.post("/predict", json={"texts": [text]})
        (got,) = answer.json()["predictions"]
        assert got["urgency"]["id"] == "emergency" and got["urgency"]["reasons"] == [{"start": 0, "end": 9}]
        assert text[:9] not in answer.text and "tawasul_emergencies_total 1.0" in client.get("/metrics").text


def test_requests_at_the_same_time_get_each_its_own_answers(client, classifier):
    texts = [[HOLE], [OUTAGE, HOLE], ["شكرا لعمال النظافة في المحرق"]] * 8
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda sent: client.post("/predict", json={"texts": sent}).json(), texts))
    for sent, answer in zip(texts, answers, strict=True):
        assert [one["topic"]["id"] for one in answer["predictions"]] == [p.topic.id for p in classifier.predict(sent)]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("predict", {"texts": ["نص"] * MAX_TEXTS}, 200),
        ("predict", {"texts": ["نص"] * (MAX_TEXTS + 1)}, 422),
        ("predict", {"texts": ["س" * MAX_CHARS]}, 200),
        ("predict", {"texts": ["س" * (MAX_CHARS + 1)]}, 422),
        ("predict", {"texts": []}, 422),
        ("predict", {"texts": [None]}, 422),
        ("predict", {"texts": "نص"}, 422),
        ("predict", {}, 422),
        ("predict", {"texts": ["س" * 1_000] * 60 + ["س" * 19_000] * 3}, 413),
        ("incidents/query", {"text": OUTAGE, "k": 20}, 200),
        ("incidents/query", {"text": OUTAGE, "k": 21}, 422),
        ("incidents/query", {"text": OUTAGE, "k": 0}, 422),
        ("incidents/query", {"text": "س" * (MAX_CHARS + 1)}, 422),
    ],
)
def test_what_is_wrong_or_too_much_is_refused_and_what_is_just_enough_is_not(client, path, body, status):
    data = json.dumps(body, ensure_ascii=status == 413).encode()
    assert client.post(f"/{path}", content=data, headers=JSON).status_code == status


def test_a_body_is_refused_by_what_it_says_of_its_length_before_it_is_read(client):
    for method in ("POST", "PUT", "PATCH"):
        answer = client.request(method, "/predict", content=b"{}", headers=JSON | {"Content-Length": "200001"})
        assert answer.status_code == 413 and "at most 200000" in answer.json()["detail"]
    body = b'{"texts": ["x"]}'
    chunked = {"Transfer-Encoding": "chunked", "Content-Length": "10"}
    assert client.post("/predict", content=iter([body])).status_code == 411
    assert client.post("/predict", content=body, headers=chunked).status_code == 411


def test_errors_do_not_echo_the_text_and_answers_are_not_kept_run_or_framed(client):
    assert client.post("/predict", content=rb'{"texts": ["\ud800 \u0645"]}', headers=JSON).status_code == 422
    answer = client.post("/predict", json={"texts": [HOLE, 7]})
    assert answer.status_code == 422 and "المعارض" not in answer.text
    assert answer.json()["detail"][0]["where"] == ["body", "texts", 1]
    headers = client.post("/predict", json={"texts": [HOLE]}).headers
    assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


@pytest.fixture
def failing(classifier, monkeypatch):
    """A client of a service whose model fails at the first request."""

    def fail(self, texts):
        if texts != "نص":  # which the service reads when it starts
            raise RuntimeError(f"it cannot read {texts}")

    monkeypatch.setattr(ComplaintClassifier, "predict", fail)
    with testclient.TestClient(create_app(classifier, limits=Limits(max_body=1_000))) as client:
        yield client


def test_metrics_count_what_was_refused_and_what_failed(failing):
    def counted(client):
        lines = client.get("/metrics").text.splitlines()
        counts = (re.fullmatch(r'tawasul_requests_total{path="(.+)",status="(\d+)"} (.+)', line) for line in lines)
        return {(match[1], int(match[2])): float(match[3]) for match in counts if match}

    failing.post("/predict", json={"texts": []})
    failing.post("/predict", json={"texts": ["س" * 1_000]})
    failing.post("/predict", content=iter([b"{}"]))
    failing.get("/wp-admin.php")
    failing.get("/predict")
    for _ in range(2):
        assert failing.post("/predict", json={"texts": [HOLE]}).status_code == 500
    once = [("/predict", 422), ("/predict", 405), *(("other", status) for status in (404, 411, 413))]
    assert counted(failing) == {("/predict", 500): 2} | dict.fromkeys(once, 1)
    text = failing.get("/metrics").text
    assert 'tawasul_request_seconds_count{path="/predict"} 4.0' in text and "tawasul_batch_texts_count 2.0" in text
    assert "wp-admin" not in text, "routes are counted, never addresses"


def test_an_error_is_logged_by_its_place_and_the_requests_id_and_never_by_its_message(failing, caplog):
    with caplog.at_level(logging.INFO, logger="tawasul_nlp"):
        answer = failing.post("/predict", json={"texts": [HOLE]}, headers={"X-Request-ID": "officer-7"})
    assert (answer.status_code, answer.headers["X-Request-ID"]) == (500, "officer-7")
    assert "X-Request-ID" in answer.json()["detail"]
    (failed,) = (record for record in caplog.records if record.exc_info)
    line = JsonLines().format(failed)
    assert HOLE not in line and json.loads(line)["error"] == "RuntimeError"
    assert any(at.endswith(" fail") for at in json.loads(line)["raised_at"])


@pytest.mark.parametrize("given", [None, "two words", "س", "x" * 65])
def test_a_request_without_a_usable_id_gets_a_new_one(client, given):
    headers = {} if given is None else {"X-Request-ID": given.encode()}
    ids = {client.get("/live", headers=headers).headers["X-Request-ID"] for _ in range(2)}
    assert len(ids) == 2 and all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)


def test_questions_that_wait_for_the_index_are_limited_and_hold_up_nothing_else(classifier, index, monkeypatch):
    answered, asked = threading.Event(), []

    def slow(self, case, k):
        asked.append(case)
        assert answered.wait(HANG)
        return []

    def ask(_):
        return client.post("/incidents/query", json={"text": OUTAGE})

    monkeypatch.setattr(DuplicateIndex, "query", slow)
    limits = Limits(max_waiting=5)
    with testclient.TestClient(create_app(classifier, index, limits=limits)) as client, ThreadPoolExecutor(5) as pool:
        try:
            waiting = pool.map(ask, range(5))
            wait_until(lambda: client.get("/ready").status_code == 503)
            refused = ask(None)
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
            assert 'tawasul_waiting{for="questions"} 5.0' in client.get("/metrics").text
            assert client.get("/live").status_code == 200
            texts, full = ({"texts": [HOLE] * number} for number in (5, 6))
            assert [client.post("/predict", json=sent).status_code for sent in (texts, full)] == [200, 503]
        finally:
            answered.set()
        assert [one.json() for one in waiting] == [{"incidents": []}] * 5
        assert len(asked) == 5 and client.get("/ready").status_code == 200


def test_without_an_index_the_question_is_refused_with_advice(classifier):
    with testclient.TestClient(create_app(classifier)) as client:
        for answer in (client.post("/incidents/query", json={"text": OUTAGE}), client.get("/incidents")):
            assert answer.status_code == 404 and "TAWASUL_INDEX" in answer.json()["detail"]
        assert client.get("/info").json()["index"] is None
        assert not any("incidents" in path for path in client.get("/openapi.json").json()["paths"])


@pytest.mark.parametrize("name", ["batch_texts", "max_waiting", "max_body"])
def test_limits_that_let_nothing_through_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} is 0, expected at least 1"):
        Limits(**{name: 0})
