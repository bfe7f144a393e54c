"""The page about the service, the container and the unit of systemd say what the command takes and what it answers."""

import inspect
import re
from pathlib import Path

import pytest

from tawasul_nlp import DuplicateGrouper, DuplicateIndex
from tawasul_nlp.cli.serve import serve

testclient = pytest.importorskip("fastapi.testclient", reason="the extra `service` is not installed")

from tawasul_nlp.service import create_app  # noqa: E402

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
