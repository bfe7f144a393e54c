"""The inputs, options and results of a run, beside its output: ``OUT.manifest.json``."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tawasul_nlp
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.output_file import PendingFile

SUFFIX = ".manifest.json"
# What decides the answers' last digits and the output's bytes.
_LIBRARIES = ("numpy", "onnxruntime", "pyarrow", "tokenizers")


def manifest_beside(output: Path) -> Path:
    """Return where the manifest of an output goes."""
    return output.with_name(output.name + SUFFIX)


def input_identity(path: Path) -> dict[str, Any]:
    """Return what identifies a file: its size and hash."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"bytes": file.tell(), "sha256": digest}


def check_replaceable(output: Path, command: str, source: Path) -> None:
    """Raise :class:`TableError` if there is an output that this command did not make of this input.

    Its own output the same command may replace, if its manifest shows that it was not changed since.
    """
    if not output.exists():
        return
    try:
        facts = json.loads(manifest_beside(output).read_text(encoding="utf-8"))
        made = facts["command"], facts["input"]["name"]
        same = {name: facts["output"][name] for name in ("bytes", "sha256")} == input_identity(output)
    except (OSError, ValueError, KeyError, TypeError):
        why = "no manifest beside it says that tawasul wrote it"
    else:
        if made == (command, source.name) and same:
            return
        why = f"tawasul {made[0]} wrote it from {made[1]!r}" if same else "it was changed after tawasul wrote it"
    raise TableError(f"{output} is there already, and {why}; write to another file, or replace it with --force")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that matter."""
    found = {"tawasul-nlp": tawasul_nlp.__version__, "python": platform.python_version()}
    return found | {name: importlib.metadata.version(name) for name in _LIBRARIES}


def write_manifest(path: Path, facts: Mapping[str, Any]) -> None:
    """Write the facts as JSON; the file appears when it is complete."""
    with PendingFile(path) as pending:
        text = json.dumps(facts, ensure_ascii=False, indent=1)
        pending.path.write_text(text + "\n", encoding="utf-8")
        pending.publish()
