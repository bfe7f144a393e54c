"""``tawasul serve`` takes its settings from the environment, stops without loss, and is described where it says so."""

import inspect
import json
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import httpx
import pytest

from eval.processes import serving
from tawasul_nlp import DuplicateGrouper, DuplicateIndex
from tawasul_nlp.cli import main
from tawasul_nlp.cli.serve import serve
from tests.report.browser import browser
from tests.waiting import HANG, wait_until

testclient = pytest.importorskip("fastapi.testclient", reason="the extra `service` is not installed")

from tawasul_nlp.service import create_app  # noqa: E402

HOLE = "حفرة كبيرة في شارع المعارض بالحورة كسرت تاير سيارتي"
TOKEN = "portal-token-portal-token"
CLIENTS = 4


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A service whose settings are all in the environment."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "tokens").write_text(f"portal {TOKEN} decide\n", encoding="utf-8")
    settings = {"INDEX": folder / "incidents", "TOKENS": folder / "tokens", "MAX_BODY": 5_000, "BATCH_TEXTS": ""}
    environment = {f"TAWASUL_{name}": str(value) for name, value in settings.items()}
    with serving(folder / "log", environment=environment) as served:
        yield served


@pytest.fixture
def client(served):
    with httpx.Client(base_url=served.address, timeout=HANG, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        yield client


def lines_of(served):
    return [json.loads(line) for line in served.log.read_text(encoding="utf-8").splitlines()]


def test_every_setting_may_come_from_the_environment(client):
    assert client.get("/info").json()["index"] == {"cases": 0, "incidents": 0}
    assert client.get("/info", headers={"Authorization": "Bearer another"}).status_code == 401
    assert client.post("/predict", json={"texts": ["س" * 5_000]}).status_code == 413
    assert client.post("/predict", json={"texts": [HOLE]}).json()["predictions"][0]["topic"]["id"] == "road_damage"


def test_the_log_is_json_that_finds_a_request_and_holds_no_text(client, served):
    for body in ({"texts": [HOLE]}, {"texts": [HOLE, 7]}, {HOLE: HOLE}):
        client.post(f"/predict?{HOLE}", json=body, headers={"X-Request-ID": "officer-7"})
    client.post("/incidents/add", json={"cases": [{"id": "A1", "text": HOLE}]})
    client.get(f"/{HOLE}")
    wait_until(lambda: lines_of(served)[-1].get("path") == "other")
    logged = [line for line in lines_of(served) if line.get("request_id") == "officer-7"]
    assert [line["status"] for line in logged] == [200, 422, 422]
    assert {(line["path"], line["client"]) for line in logged} == {("/predict", "portal")}
    text = served.log.read_text(encoding="utf-8")
    assert not [word for word in (*HOLE.split(), TOKEN, "%D8") if word in text]


def test_every_operation_tells_the_form_of_its_answers(client):
    described = client.get("/openapi.json").json()["paths"]
    assert "post" in described["/incidents/merge"] and "post" in described["/predict"]
    for path, operation in ((path, operation) for path, of in described.items() for operation in of.values()):
        if path != "/metrics":
            assert operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"], path
        open_to_all = path in ("/live", "/ready")
        assert ("security" in operation) is not open_to_all and ("401" in operation["responses"]) is not open_to_all


def test_the_documentation_needs_nothing_from_another_machine(client, served, tmp_path):
    page = httpx.get(f"{served.address}/docs")
    assert not re.findall(r"https?:|(?:src|href)=.//", page.text)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    operations = sum(len(of) for of in client.get("/openapi.json").json()["paths"].values())
    with browser(tmp_path) as driver:
        driver.get(f"{served.address}/docs")
        wait_until(lambda: len(driver.find_elements("css selector", ".opblock")) == operations)
        assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.slow
def test_what_was_acknowledged_is_in_the_index_after_a_kill(tmp_path, classifier):
    folder, numbers = tmp_path / "incidents", count()
    acknowledged, statuses = [], set()

    def add_until_it_stops(http):
        for number in numbers:
            case = {"id": f"c-{number}", "text": f"{HOLE} مجمع {number}"}
            try:
                status = http.post("/incidents/add", json={"cases": [case]}).status_code
            except httpx.TransportError:
                return
            statuses.add(status)
            acknowledged.append(case["id"])

    with serving(tmp_path / "log", "--index", str(folder)) as served, ThreadPoolExecutor(CLIENTS) as pool:
        https = [httpx.Client(base_url=served.address, timeout=HANG) for _ in range(CLIENTS)]
        adding = [pool.submit(add_until_it_stops, http) for http in https]
        wait_until(lambda: len(acknowledged) >= 20, served.process)
        served.process.kill()
        for one in adding:
            one.result(HANG)
        assert served.process.wait(HANG) == -signal.SIGKILL
    assert statuses == {200}
    with DuplicateIndex.open(folder, DuplicateGrouper(classifier), create=False) as index:
        assert set(acknowledged) <= set(index.assignments())


@pytest.mark.slow
def test_ctrl_c_ends_it_without_a_complaint(tmp_path):
    with serving(tmp_path / "log") as served:
        served.process.send_signal(signal.SIGINT)
        assert served.process.wait(HANG) == 0
    assert all(line["level"] == "info" for line in lines_of(served))


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], 2, "--max-body"),  # by a variable
        (["--host", "0.0.0.0"], 2, "--tokens of those who may ask, or else --anonymous"),
        (["--port", "70000"], 2, "--port"),
        (["--max-body", "0"], 2, "--max-body"),
        (["--tokens", "{folder}/absent"], 2, "absent"),
        (["--index", "{folder}/file"], 2, "file: a file, expected a folder"),
        (["--model", "{folder}/absent"], 2, "no model folder"),
    ],
)
def test_what_it_cannot_start_with_is_told_in_a_line(tmp_path, monkeypatch, capsys, arguments, code, told):
    (tmp_path / "file").touch()
    if not arguments:
        monkeypatch.setenv("TAWASUL_MAX_BODY", "1MB")
    assert main(["serve", *(argument.format(folder=tmp_path) for argument in arguments)]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tawasul: error: ") and told in line


ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/service.md"
# What every command reads, and `serve` has no option for.
OF_THE_LIBRARY = {"TAWASUL_THREADS"}
OPTIONS = {f"TAWASUL_{name.upper()}" for name in inspect.signature(serve).parameters}


@pytest.mark.parametrize("path", [PAGE, *sorted((ROOT / "examples/deploy").iterdir())], ids=lambda path: path.name)
def test_every_variable_that_is_written_anywhere_is_read(path):
    assert set(re.findall(r"TAWASUL_\w+", path.read_text(encoding="utf-8"))) <= OPTIONS | OF_THE_LIBRARY


def test_the_page_has_every_setting_and_every_path(classifier, tmp_path):
    page = PAGE.read_text(encoding="utf-8")
    settings = page[page.index("## Settings") : page.index("## Stopping")]
    assert set(re.findall(r"TAWASUL_\w+", settings)) == OPTIONS | OF_THE_LIBRARY
    with DuplicateIndex.open(tmp_path / "incidents", DuplicateGrouper(classifier)) as index:
        described = create_app(classifier, index).openapi()["paths"]
    operations = {(method.upper(), path) for path, of in described.items() for method in of}
    assert set(re.findall(r"^\| `(GET|POST) (/[^ `]+)`", page, re.MULTILINE)) == operations


def test_the_pages_program_runs():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    exec(code, names)
    with testclient.TestClient(names["app"]) as client:
        assert client.get("/info").status_code == 403
        assert client.get("/info", headers={"X-Officer": "noora"}).status_code == 200


def test_the_container_listens_where_the_command_does():
    container = (ROOT / "examples/deploy/Dockerfile").read_text(encoding="utf-8")
    port = inspect.signature(serve).parameters["port"].default
    assert f"EXPOSE {port}\n" in container and f"http://127.0.0.1:{port}/live" in container
