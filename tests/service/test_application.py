"""The example service answers, refuses what is too much, and never gives a citizen's text away."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tawasul_nlp import ComplaintClassifier, DuplicateGrouper, DuplicateIndex, Prediction
from tawasul_nlp.prediction import Quote, Urgency

pytestmark = pytest.mark.slow

testclient = pytest.importorskip("fastapi.testclient", reason="the extra `service` is not installed")

from tawasul_nlp.service.application import MAX_CHARS, MAX_TEXTS, Settings, create_app  # noqa: E402
from tests.waiting import HANG  # noqa: E402

OUTAGE = "انقطع التيار الكهربائي عن مجمع 1203 بمدينة حمد منذ ساعتين ولا أحد يرد"
JSON = {"Content-Type": "application/json"}  # without it every body is refused, whatever is in it
HOLE = "حفرة كبيرة في شارع المعارض بالحورة كسرت تاير سيارتي"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("index") / "incidents"
    with DuplicateIndex.open(folder, DuplicateGrouper.from_pretrained()) as index:
        index.add([{"id": "A1", "text": OUTAGE}, {"id": "A2", "text": HOLE}])
    with testclient.TestClient(create_app(Settings(index=str(folder), max_body=200_000))) as client:
        yield client


def test_health_names_the_model_and_counts_open_cases(client):
    answer = client.get("/health").json()
    assert answer == {
        "status": "ok",
        "model": ComplaintClassifier.from_pretrained().config.model_hash,
        "open_cases": 2,
    }


def test_predictions_are_those_of_the_library_in_the_same_order(client):
    texts = [HOLE, OUTAGE, "😀", HOLE]
    answer = client.post("/predict", json={"texts": texts})
    assert answer.status_code == 200
    expected = ComplaintClassifier.from_pretrained().predict(texts)
    got = answer.json()["predictions"]
    assert [one["topic"]["id"] for one in got] == [prediction.topic.id for prediction in expected]
    assert [one["agency"]["id"] for one in got] == [prediction.agency.id for prediction in expected]
    assert got[0]["topic"]["probability"] == pytest.approx(expected[0].topic.probability, abs=1e-4)
    assert all("text" not in one for one in got)


def test_an_emergency_is_counted_and_its_words_are_told_by_their_place(monkeypatch):
    text = "سلك مكشوف عند باب المدرسة"
    urgency = Urgency("emergency", "طارئ", "Emergency", 0.8, reasons=(Quote(text[:9], 0, 9),))
    found = Prediction(text, {}, reasons=("emergency",), urgency=urgency)
    monkeypatch.setattr(ComplaintClassifier, "predict", lambda self, texts: [found] * len(texts))
    with testclient.TestClient(create_app(Settings())) as client:
        answer = client.post("/predict", json={"texts": [text]})
        (got,) = answer.json()["predictions"]
        assert got["urgency"]["id"] == "emergency" and got["urgency"]["reasons"] == [{"start": 0, "end": 9}]
        assert text[:9] not in answer.text and "tawasul_emergencies_total 1.0" in client.get("/metrics").text


def test_requests_at_the_same_time_get_each_its_own_answers(client):
    texts = [[HOLE], [OUTAGE, HOLE], ["شكرا لعمال النظافة في المحرق"]] * 8
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda own: client.post("/predict", json={"texts": own}).json(), texts))
    alone = ComplaintClassifier.from_pretrained()
    for own, answer in zip(texts, answers, strict=True):
        assert [one["topic"]["id"] for one in answer["predictions"]] == [p.topic.id for p in alone.predict(own)]


def test_a_new_report_finds_its_open_incident(client):
    question = {"text": "الكهربا طافية علينا في مدينة حمد مجمع 1203 من ساعتين ومحد يرد", "k": 1}
    incidents = client.post("/incidents/query", json=question).json()["incidents"]
    assert incidents[0]["representative"] == "A1"
    assert incidents[0]["is_duplicate"]


@pytest.mark.parametrize("text", [OUTAGE, HOLE])
def test_the_texts_of_open_incidents_stay_in_the_index(client, text):
    answer = client.post("/incidents/query", json={"text": text})
    assert answer.status_code == 200
    assert len(answer.json()["incidents"]) >= 1
    assert OUTAGE not in answer.text and HOLE not in answer.text


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


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_body_that_is_too_long_is_refused_by_what_it_says_before_it_is_read(client, method):
    answer = client.request(method, "/predict", content=b"{}", headers=JSON | {"Content-Length": "200001"})
    assert answer.status_code == 413 and "at most 200000" in answer.json()["detail"]


def test_a_body_without_a_length_is_refused(client):
    assert client.post("/predict", content=iter([b'{"texts": ["x"]}'])).status_code == 411


def test_a_body_in_chunks_is_refused_whatever_length_it_claims(client):
    headers = {"Transfer-Encoding": "chunked", "Content-Length": "10"}
    answer = client.post("/predict", content=b'{"texts": ["x"]}', headers=headers)
    assert answer.status_code == 411


def test_a_lone_surrogate_is_refused_and_no_crash(client):
    answer = client.post("/predict", content=rb'{"texts": ["\ud800 \u0645\u0627\u0621"]}', headers=JSON)
    assert answer.status_code == 422


def test_errors_do_not_echo_the_text(client):
    answer = client.post("/predict", json={"texts": [HOLE, 7]})
    assert answer.status_code == 422
    assert "المعارض" not in answer.text
    assert answer.json()["detail"][0]["where"] == ["body", "texts", 1]


def test_metrics_count_requests_by_route_and_not_by_address(client):
    client.get("/wp-admin.php")
    text = client.get("/metrics").text
    assert 'tawasul_requests_total{path="/predict",status="200"}' in text
    assert "wp-admin" not in text
    assert "tawasul_batch_texts_count" in text


def test_metrics_count_what_was_refused_and_what_failed(monkeypatch):
    def counted(client):
        lines = client.get("/metrics").text.splitlines()
        found = (re.fullmatch(r'tawasul_requests_total{path="(.+)",status="(\d+)"} (.+)', line) for line in lines)
        return {(match[1], int(match[2])): float(match[3]) for match in found if match}

    app = create_app(Settings(max_body=1_000))
    with testclient.TestClient(app, raise_server_exceptions=False) as client:
        client.post("/predict", json={"texts": []})
        client.post("/predict", json={"texts": ["س" * 1_000]})
        client.post("/predict", content=iter([b"{}"]))
        client.get("/wp-admin.php")
        client.get("/predict")
        monkeypatch.setattr(app.state.batcher, "_predict", lambda texts: 1 / 0)
        for _ in range(2):
            assert client.post("/predict", json={"texts": [HOLE]}).status_code == 500
        assert counted(client) == {
            ("/predict", 422): 1,
            ("/predict", 500): 2,
            ("/predict", 405): 1,
            ("other", 404): 1,
            ("other", 411): 1,
            ("other", 413): 1,
        }
        assert 'tawasul_request_seconds_count{path="/predict"} 4.0' in client.get("/metrics").text


def test_a_full_queue_refuses_with_503():
    with testclient.TestClient(create_app(Settings(max_waiting=2))) as client:
        answer = client.post("/predict", json={"texts": [HOLE] * 3})
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "1"
        assert client.post("/predict", json={"texts": [HOLE] * 2}).status_code == 200


def test_questions_that_wait_for_the_index_are_limited_and_hold_up_nothing_else(tmp_path):
    DuplicateIndex.open(tmp_path / "index", DuplicateGrouper.from_pretrained()).close()
    answered = threading.Event()

    def slow():
        if not answered.wait(HANG):  # nothing was refused, and all would wait for one another
            answered.set()
        return []

    with testclient.TestClient(create_app(Settings(index=str(tmp_path / "index"), max_waiting=50))) as client:
        try:
            waiting = [client.portal.start_task_soon(client.app.state.turns.take, slow) for _ in range(50)]
            refused = client.post("/incidents/query", json={"text": OUTAGE})
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
            assert client.post("/predict", json={"texts": [HOLE]}).status_code == 200
            assert client.get("/health").json()["open_cases"] == 0
        finally:
            answered.set()
        assert [one.result(HANG) for one in waiting] == [[]] * 50
        assert client.post("/incidents/query", json={"text": OUTAGE}).json() == {"incidents": []}


def test_without_an_index_the_question_is_refused_with_advice():
    with testclient.TestClient(create_app(Settings())) as client:
        answer = client.post("/incidents/query", json={"text": OUTAGE})
        assert answer.status_code == 404
        assert "TAWASUL_INDEX" in answer.json()["detail"]
        assert client.get("/health").json()["open_cases"] is None


def test_a_wrong_setting_says_what_was_expected(monkeypatch):
    monkeypatch.setenv("TAWASUL_MAX_BODY", "1MB")
    with pytest.raises(ValueError, match="TAWASUL_MAX_BODY is '1MB', expected a whole number"):
        Settings.from_environment()


def test_the_model_reads_with_the_threads_that_the_environment_says(monkeypatch):
    monkeypatch.delenv("TAWASUL_THREADS", raising=False)
    assert Settings.from_environment().threads is None
    monkeypatch.setenv("TAWASUL_THREADS", "3")
    with testclient.TestClient(create_app()) as client:
        assert client.app.state.classifier._scorers.runtime.threads == 3
    monkeypatch.setenv("TAWASUL_THREADS", "0")
    with pytest.raises(ValueError, match="TAWASUL_THREADS is '0', expected a whole number"):
        Settings.from_environment()
