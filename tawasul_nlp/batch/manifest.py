"""What a run was made of and what it did, beside its output: ``OUT.manifest.json``."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tawasul_nlp
from tawasul_nlp.batch.output import PendingFile

SUFFIX = ".manifest.json"
# What decides the answers' last digits and the output's bytes.
_LIBRARIES = ("numpy", "onnxruntime", "pyarrow", "tokenizers")


def manifest_beside(output: Path) -> Path:
    """Return where the manifest of an output goes."""
    return output.with_name(output.name + SUFFIX)


def input_identity(path: Path) -> dict[str, Any]:
    """Return what tells one input from another: its size and hash."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"bytes": file.tell(), "sha256": digest}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that matter."""
    found = {"tawasul-nlp": tawasul_nlp.__version__, "python": platform.python_version()}
    return found | {name: importlib.metadata.version(name) for name in _LIBRARIES}


def write_manifest(path: Path, facts: Mapping[str, Any]) -> None:
    """Write the facts as JSON; the file appears when it is complete."""
    pending = PendingFile(path)
    try:
        text = json.dumps(facts, ensure_ascii=False, indent=1)
        pending.path.write_text(text + "\n", encoding="utf-8")
        pending.publish()
    finally:
        pending.discard()
