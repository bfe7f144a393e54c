"""The page on compatibility names the release and the formats that the code has."""

import re
from pathlib import Path

import tawasul_nlp
from tawasul_nlp.duplicates import pair_scorer
from tawasul_nlp.duplicates.index import database
from tawasul_nlp.model import folder
from tawasul_nlp.tables.run import parts

ROOT = Path(__file__).parent.parent


def formats_on_the_page():
    page = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    table = page[page.index("| what | format |") :].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_the_formats_are_those_that_the_code_writes():
    written = [int(re.findall(r"\d+", cells[1])[-1]) for cells in formats_on_the_page()]
    code = [folder.FORMAT_VERSION, pair_scorer.FORMAT_VERSION, database.FORMAT_VERSION, parts.FORMAT]
    assert written == code


def test_the_release_is_the_one_that_the_page_and_the_changelog_name():
    version = tawasul_nlp.__version__
    page = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    releases = re.findall(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert releases[0] == version and f"| {version} reads |" in page
