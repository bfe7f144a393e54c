"""tawasul group and tawasul index with a model that reads pairs, as a user runs them."""

import json
import re
from pathlib import Path

import pytest

from tawasul_nlp.cli import main
from tests.duplicates.pair_model import write_pair_model, write_unverifying_model
from tests.duplicates.test_verification import EVENT
from tests.table_files import write


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_pair_model(tmp_path_factory.mktemp("model") / "pairs")


@pytest.fixture
def backlog(tmp_path):
    texts = [*EVENT, *(f"{text} مجمع 711" for text in EVENT)]
    rows = [{"case_id": f"k-{number}", "text": text} for number, text in enumerate(texts)]
    return write(tmp_path / "backlog.csv", rows)


def tawasul(*arguments):
    return main([str(argument) for argument in arguments])


def manifest(path: Path):
    return json.loads(Path(f"{path}.manifest.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_group_verifies_says_so_and_can_be_told_not_to(model, backlog, tmp_path, capsys):
    grouped = {name: tmp_path / f"{name}.csv" for name in ("read", "unread", "bundled")}
    assert tawasul("group", backlog, "-t", "text", "-o", grouped["read"], "--model", model) == 0
    found = re.search(r"(\d+) unsure pairs of cases were verified", capsys.readouterr().out)
    assert int(found[1]) == manifest(grouped["read"])["pairs_read"] > 0
    assert tawasul("group", backlog, "-t", "text", "-o", grouped["unread"], "--model", model, "--no-verify") == 0
    assert tawasul("group", backlog, "-t", "text", "-o", grouped["bundled"], "--no-verify") == 0
    assert "verified" not in capsys.readouterr().out
    assert manifest(grouped["unread"])["pairs_read"] is None
    assert grouped["unread"].read_bytes() == grouped["bundled"].read_bytes()


def test_an_index_verifies_what_it_adds_and_is_asked_about(model, backlog, tmp_path, capsys):
    folder = tmp_path / "incidents"
    assert tawasul("index", "add", folder, backlog, "-t", "text", "--id-column", "case_id", "--model", model) == 0
    assert re.search(r"[1-9]\d* unsure pairs of cases were verified", capsys.readouterr().out)
    for option in ("--verify", "--no-verify"):
        assert tawasul("index", "query", folder, next(iter(EVENT)), "--model", model, option, "--json") == 0
        assert json.loads(capsys.readouterr().out)[0]["score"] > 0.1
    assert tawasul("index", "rebuild", folder, "--model", model, "--no-verify") == 0
    assert tawasul("index", "verify", folder) == 0


def test_a_model_that_cannot_is_told_apart_by_one_line(backlog, tmp_path, capsys):
    model = write_unverifying_model(tmp_path / "model")
    assert tawasul("group", backlog, "-t", "text", "-o", tmp_path / "out.csv", "--verify", "--model", model) == 1
    assert "this model cannot verify pairs" in capsys.readouterr().err and not (tmp_path / "out.csv").exists()
