"""What a run writes: where it goes, whether it may go there, and how the table is laid out."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tawasul_nlp
from tawasul_nlp.tables.errors import RowsLostError, TableError, reason_of
from tawasul_nlp.tables.io.chunk import Reader, Reject
from tawasul_nlp.tables.io.files import PendingFile, check_apart, checked_target
from tawasul_nlp.tables.io.formats import Layout, TableFormat, WriteOptions, known_format, output_format

if TYPE_CHECKING:
    import pyarrow as pa

_REJECT_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Targets:
    """The files that a run writes: no table (with its format) if only an index is added to, no manifest on request."""

    output: Path | None
    format: TableFormat | None
    rejects: Path
    manifest: Path | None


def checked_targets(
    command: str,
    source: Path,
    output: Path | None,
    options: WriteOptions,
    *,
    also_read: Iterable[Path] = (),
    also_written: Mapping[str, Path] | None = None,
    resumes: bool = False,
) -> Targets:
    """Return the files that the run of a command will write.

    It may also read and write other files (these by what they are), and resume: what an unfinished run has published
    already is its own.

    Raises
    ------
    TableError
        If one of them is read by the run, is written twice, cannot be a regular file in an existing folder, or is
        there and not ours to replace; or if no format is known for the output.
    """
    format = None
    if output is not None:
        format = known_format(options.format) if options.format is not None else output_format(output)
    targets = Targets(
        output,
        format,
        _rejects_of(output or Path("tawasul"), options.rejects),
        manifest_beside(output) if output is not None and options.manifest else None,
    )
    named = {"output": output, "rejects file": targets.rejects, "manifest": targets.manifest}
    written = {what: path for what, path in named.items() if path is not None}
    check_apart([source, *also_read], written | dict(also_written or {}))
    _check_rejects(targets.rejects)
    for path in written.values():
        checked_target(path)
    if output is not None and not (options.overwrite or resumes):
        check_replaceable(output, command, source)
    return targets


def _rejects_of(output: Path, wanted: str | Path | None) -> Path:
    """Return where rejects go: where they are wanted, or beside the output."""
    return Path(wanted) if wanted is not None else output.with_name(output.name + ".rejects.jsonl")


def _check_rejects(path: Path) -> None:
    """Raise :class:`TableError` if a file that is not ours would be replaced, or removed if nothing is rejected."""
    if path.is_file() and not _holds_rejects(path):
        raise TableError(
            f"{path} exists and does not hold rejects of an earlier run; name another with --rejects or remove it"
        )


def _holds_rejects(path: Path) -> bool:
    """Whether a file is empty or begins with a reject."""
    try:
        with path.open("rb") as file:
            line = file.readline(_REJECT_BYTES)
    except OSError as error:
        raise TableError(f"{path} cannot be read: {reason_of(error)}") from error
    try:
        return not line or set(json.loads(line)) == {one.name for one in dataclasses.fields(Reject)}
    except (ValueError, TypeError):
        return line.startswith(b'{"row": ')  # a longer line than was read


def layout_of(
    reader: Reader,
    targets: Targets,
    options: WriteOptions,
    added: tuple[str, ...],
    types: Mapping[str, str],
    schema: Callable[[], pa.Schema] | None = None,
) -> Layout:
    """Return what the output looks like: the program that made the input can read it, and Excel shows its Arabic.

    `types` has the plain names of the `added` columns; `schema` gives that of the table's own columns, if not the
    reader's.
    """
    assert targets.output is not None and targets.format is not None
    own = reader.delimiter if len(reader.columns) > 1 else None
    delimiter = "\t" if targets.output.suffix.lower() == ".tsv" else own or ","
    return Layout(
        targets.format,
        reader.columns,
        schema or reader.schema,
        added,
        types,
        delimiter,
        bom=options.bom,
        raw_cells=options.raw_cells,
    )


def check_rows(read: int, written: int, rejected: int) -> None:
    """Raise :class:`RowsLostError` if rows were lost."""
    if read != written + rejected:
        raise RowsLostError(
            f"{read} rows were read but {written} written and {rejected} rejected; nothing was published"
        )


def reject_lines(rejects: Sequence[Reject]) -> str:
    """Return rejects in the order of their rows, one line of JSON each."""
    return "".join(reject.to_json() + "\n" for reject in sorted(rejects, key=lambda reject: reject.row))


def publish_table(
    command: str,
    targets: Targets,
    rejects_file: PendingFile,
    table_file: PendingFile | None,
    rejects: Sequence[Reject],
    facts: Mapping[str, Any],
) -> None:
    """Put rejects, manifest and table in place: whoever sees the output can rely on finding the others."""
    if rejects:
        rejects_file.path.write_text(reject_lines(rejects), encoding="utf-8", newline="")
        rejects_file.publish()
    else:
        rejects_file.target.unlink(missing_ok=True)
    if table_file is None or targets.output is None:
        return
    if targets.manifest is not None:  # an output without one would not be ours to replace
        output = {"name": targets.output.name, **input_identity(table_file.path)}
        write_manifest(targets.manifest, {"command": command, "versions": versions(), **facts, "output": output})
    table_file.publish()


def escaped_note(cells: int) -> tuple[str, ...]:
    """Return what the user should know of escaped cells; nothing if there are none."""
    if not cells:
        return ()
    how = (
        "1 cell that a spreadsheet would run as a formula has"
        if cells == 1
        else (f"{cells:,} cells that a spreadsheet would run as formulas have")
    )
    return (f"{how} an apostrophe before the sign (--raw-cells leaves them as they are)",)


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
