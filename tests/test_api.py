"""The page of the public API lists what the packages export, and a typed program can use all of it."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SECTIONS = dict(
    re.findall(
        r"^## `(tawasul_nlp[\w.]*)`\n(.*?)(?=^## |\Z)", (ROOT / "docs" / "api.md").read_text("utf-8"), re.M | re.S
    )
)


def listed(section):
    also = re.findall(r"^Also here: (.*)$", section, re.M)
    return {
        *re.findall(r"^\| `(\w+)` \|", section, re.M),
        *(name for line in also for name in re.findall(r"\w+", line)),
    }


@pytest.mark.parametrize("package", SECTIONS)
def test_the_page_lists_what_a_package_exports(package):
    assert listed(SECTIONS[package]) == set(import_module(package).__all__)


def test_every_package_that_exports_names_is_on_the_page():
    exporting = {
        ".".join(path.relative_to(ROOT).parts[:-1])
        for path in (ROOT / "tawasul_nlp").rglob("__init__.py")
        if "__all__" in path.read_text("utf-8")
    }
    assert exporting - {"tawasul_nlp.cli"} | {"tawasul_nlp.tables.ray"} == set(SECTIONS)


@pytest.mark.slow
def test_a_strictly_typed_program_uses_the_api():
    client = ROOT / "tests" / "typed_client.py"
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--follow-imports=silent", str(client)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
