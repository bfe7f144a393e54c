"""An unfinished run on disk: its answers so far, a numbered part for each chunk of the input.

Beside the output ``OUT`` is the folder ``OUT.partial``:

- ``run.json`` says what the run is of: command, input, model, versions, options;
- ``000000.part`` and so on hold the answers for the chunks, in order; each appears complete and on disk;
- ``lock`` is held by the process that works on the run.

A run that resumes reads the input from its start and passes over the chunks that have a part. Chunks depend on nothing
but the input, and the input is that of the run: its hash is in ``run.json``, and a part appears only if the input was
not changed before its chunk's end. A part that is damaged counts as missing, and so do those after it.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp._system import atomic_write, sync_folder
from tawasul_nlp.tables.errors import TableError, reason_of
from tawasul_nlp.tables.io.files import checked_target

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 4
SUFFIX = ".partial"
RUN = "run.json"
LOCK = "lock"
_OURS = re.compile(r"(?:run\.json|\d{6,}\.part)(?:\.partial)?|lock")
_FACTS = b"facts"
_CHECKSUM_BYTES = 4


class Parts:
    """The answers of an unfinished run; make them with :func:`unfinished_run`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self.facts: dict[str, Any] = {}  # what was stored with the last part
        self.resumed = 0
        self.started = datetime.now(UTC)
        self.find()
        self._began = time.monotonic() - self.facts.get("seconds", 0.0)

    def __len__(self) -> int:
        return self._count

    def find(self) -> None:
        """Count the parts that are there, from the last one that is known on."""
        while (part := self._stored(self._count)) is not None:
            self.facts = part[1]
            self._count += 1

    def seconds(self) -> float:
        """Return how long the run has taken, without interruptions."""
        return time.monotonic() - self._began

    def add(self, answers: pa.RecordBatch, facts: Mapping[str, Any]) -> None:
        """Store the answers for the next chunk; of its facts, ``rows_read`` is how many rows are done."""
        import pyarrow as pa

        facts = {**facts, "seconds": self.seconds()}
        answers = answers.replace_schema_metadata({_FACTS: json.dumps(facts, ensure_ascii=False)})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, answers.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
            stream.write_batch(answers)
        data = sink.getvalue().to_pybytes()
        with atomic_write(self._path(self._count)) as fresh:
            fresh.write_bytes(data + zlib.crc32(data).to_bytes(_CHECKSUM_BYTES, "big"))
        self.facts = facts
        self._count += 1

    def __getitem__(self, number: int) -> pa.RecordBatch:
        part = self._stored(number)
        if part is None:
            raise TableError(f"{self._path(number)} is damaged or gone; the same command computes it again")
        return part[0]

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06}.part"

    def _stored(self, number: int) -> tuple[pa.RecordBatch, dict[str, Any]] | None:
        """Return a part's answers and facts; None if it is not there, or is not what was written."""
        import pyarrow as pa

        try:
            data = self._path(number).read_bytes()
        except FileNotFoundError:
            return None
        body, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
        if zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "big") != checksum:
            return None
        with pa.ipc.open_stream(body) as stream:
            answers = stream.read_next_batch()
        return answers, json.loads(answers.schema.metadata[_FACTS])


def folder_of_run(output: Path) -> Path:
    """Return the folder of an output's unfinished run."""
    target = output.resolve()
    return target.with_name(target.name + SUFFIX)


def files_of_run(output: Path) -> dict[str, Path]:
    """Return what an unfinished run of an output consists of, by what it is."""
    folder = folder_of_run(output)
    names = {RUN, LOCK, *(path.name for path in folder.glob("*"))}
    return {f"unfinished run's {name}": folder / name for name in sorted(names)}


def is_unfinished(output: Path) -> bool:
    """Whether there is an unfinished run of an output that can be resumed."""
    return (folder_of_run(output) / RUN).exists()


@contextmanager
def unfinished_run(output: Path, identity: Mapping[str, Any], *, restart: bool) -> Iterator[Parts]:
    """Open the unfinished run of an output, or begin one.

    When the block ends without an error the folder is removed. After an error it stays if there is something to resume,
    and a note on the error says so.

    Raises :class:`TableError` if the unfinished run that is there differs, or is being worked on.
    """
    checked_target(output)
    folder = folder_of_run(output)
    with _locked(folder, output):
        parts = _opened(folder, identity, restart=restart)
        try:
            yield parts
        except BaseException as error:
            parts.find()  # what lasts is what is on disk, wherever a signal came
            if not len(parts):
                _empty(folder)
            else:
                error.add_note(f"{parts.facts['rows_read']:,} rows are done; the same command resumes")
            raise
        _empty(folder)


@contextmanager
def _locked(folder: Path, output: Path) -> Iterator[None]:
    """Hold the folder of a run, which is made, and removed if nothing is in it in the end."""
    from filelock import FileLock, Timeout

    if folder.exists() and (not folder.is_dir() or not all(_OURS.fullmatch(entry.name) for entry in folder.iterdir())):
        raise TableError(f"{folder} is not the folder of an unfinished run; rename it, or write to another file")
    lock = FileLock(folder / LOCK, thread_local=False)
    try:
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise TableError(f"another process is writing {output}; wait for it, or write to another file") from error
    except OSError as error:
        raise TableError(f"{folder.parent} cannot be written: {reason_of(error)}") from error
    try:
        yield
    finally:
        nothing_left = not (folder / RUN).exists()
        if nothing_left:
            _empty(folder)
        lock.release()
        if nothing_left:
            (folder / LOCK).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # there is something in it
                folder.rmdir()


def _opened(folder: Path, identity: Mapping[str, Any], *, restart: bool) -> Parts:
    """Return the parts of the run that is there, if it is this one, or of a new one."""
    run = None if restart else _read_run(folder)
    if run is None:
        _empty(folder)
    parts = Parts(folder)
    if run is not None and len(parts):
        _check_same(folder, run["identity"], identity)
        parts.resumed, parts.started = run["resumed"] + 1, datetime.fromisoformat(run["started"])
    run = {
        "format": FORMAT,
        "identity": dict(identity),
        "resumed": parts.resumed,
        "started": parts.started.isoformat(),
    }
    with atomic_write(folder / RUN) as fresh:
        fresh.write_text(json.dumps(run, ensure_ascii=False), encoding="utf-8")
    return parts


def _read_run(folder: Path) -> dict[str, Any] | None:
    path = folder / RUN
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise TableError(f"{path} is damaged ({error}); start over with --restart") from error
    if not isinstance(run, dict) or run.get("format") != FORMAT:
        raise TableError(f"{path} was written by another version of tawasul-nlp; start over with --restart")
    return run


def _check_same(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise :class:`TableError` that says what differs between the unfinished run and this one."""
    now = json.loads(json.dumps(now))  # what was stored has lists where this has tuples
    differing = [
        f"{name.replace('_', ' ')} ({before.get(name)!r} before, {now.get(name)!r} now)"
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    ]
    if differing:
        raise TableError(
            f"{folder} holds an unfinished run that differs in {'; '.join(differing)}. Finish it with the same command "
            "as before, or discard it with --restart"
        )


def _empty(folder: Path) -> None:
    """Remove what a run left, what it is of first: without that the rest means nothing."""
    for path in (folder / RUN, *folder.glob("*.part"), *folder.glob(f"*{SUFFIX}")):
        path.unlink(missing_ok=True)
