"""Packs for tests: Bahrain's with other content of some files."""

from pathlib import Path

from tawasul_nlp._packs import PACKS
from tawasul_nlp.domain import Domain

BAHRAIN = PACKS / "bahrain"
CITIES = Path(__file__).parent / "domain" / "packs" / "cities"
KUWAIT = Path(__file__).parents[1] / "examples" / "domains" / "kuwait"
HEAD = "id: mine\nname_ar: بلدي\nname_en: Mine\nversion: '1'\nbased_on: bahrain\n"


def written(folder: Path, **contents: str) -> Path:
    """Write a pack that is based on Bahrain's, with the content of some of its files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "domain.yaml").write_text(HEAD, encoding="utf-8")
    for name, content in contents.items():
        (folder / f"{name}.yaml").write_text(content, encoding="utf-8")
    return folder


def changed(folder: Path, name: str, old: str, new: str) -> Path:
    """Write a pack that differs from Bahrain's in one place of one file."""
    content = (BAHRAIN / f"{name}.yaml").read_text(encoding="utf-8")
    assert old in content, old
    return written(folder, **{name: content.replace(old, new, 1)})


def changed_domain(folder: Path, name: str, old: str, new: str) -> Domain:
    """Load a pack that differs from Bahrain's in one place of one file."""
    return Domain.load(changed(folder, name, old, new))
