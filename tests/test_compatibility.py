"""The page on compatibility names the release and the formats that the code has."""

import re
from pathlib import Path

import tawasul_nlp
from tawasul_nlp.duplicates import pair_scorer
from tawasul_nlp.duplicates.index import database
from tawasul_nlp.model import folder
from tawasul_nlp.tables.run import parts

ROOT = Path(__file__).parent.parent


def test_the_page_and_the_changelog_name_the_release_and_the_formats_that_the_code_writes():
    page = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    releases = re.findall(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert releases[0] == tawasul_nlp.__version__ and f"| {releases[0]} reads |" in page
    rows = page[page.index("| what | format |") :].split("\n\n")[0].splitlines()[2:]
    written = [int(re.findall(r"\d+", row.strip("|").split("|")[1])[-1]) for row in rows]
    assert written == [folder.FORMAT_VERSION, pair_scorer.FORMAT_VERSION, database.FORMAT_VERSION, parts.FORMAT]
