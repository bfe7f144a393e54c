"""The bundled domain packs: which there are, and where their files lie."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tawasul_nlp._yaml import File

PACKS: Final = Path(__file__).parent / "domain" / "packs"
DEFAULT: Final = "bahrain"
"""The pack of whoever names none."""


def default_file(name: str) -> File:
    """Read a file of the default pack."""
    return File.of(PACKS / DEFAULT / name)
