"""An unfinished run on disk: what it has written so far, and where it resumes after a kill or a power cut.

Beside the output ``OUT`` is the folder ``OUT.partial``:

- ``rows`` and ``rejects.jsonl`` are only appended to;
- ``state.json`` says how much of them counts, with a checksum, and where in the input the rest begins. It is replaced
  as a whole after every chunk, when the chunk's bytes have reached the disk;
- ``lock`` is held by the process that works on the run.

So whatever happens, what ``state.json`` describes is there: longer files are truncated, and reading resumes after the
last chunk. Chunks begin where they would have begun without an interruption, so the output's bytes are the same.

A chunk counts only if the input was not changed between its hash, which is in the state, and the chunk's end. So all
that counts is of the input with that hash, and a run that resumes compares nothing else of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tawasul_nlp._system import atomic_write, sync_folder
from tawasul_nlp.tables.errors import TableError, reason_of
from tawasul_nlp.tables.io.chunk import START, Position
from tawasul_nlp.tables.io.files import checked_target

FORMAT = 2
SUFFIX = ".partial"
STATE = "state.json"
LOCK = "lock"
ROWS = "rows"
REJECTS = "rejects.jsonl"
TABLE = "table"
# In this order they are removed; earlier versions wrote the state under ".new".
_OURS = (STATE, STATE + ".partial", STATE + ".new", ROWS, REJECTS, TABLE)
_BLOCK = 1 << 20


def files_of_run(output: Path) -> dict[str, Path]:
    """Return what an unfinished run of an output writes, by what it is."""
    return {f"unfinished run's {name}": _folder(output.resolve()) / name for name in (*_OURS, LOCK)}


def is_unfinished(output: Path) -> bool:
    """Whether there is an unfinished run of an output that can be resumed."""
    return (_folder(output.resolve()) / STATE).exists()


class GrowingFile:
    """A file that is only appended to: `size` bytes of it, with this CRC-32, count, and the rest is truncated."""

    def __init__(self, path: Path, size: int = 0, checksum: int = 0) -> None:
        self.path = path
        self.size = size
        self.checksum = checksum
        if size and (not path.is_file() or _checksum(path, size) != checksum):
            raise TableError(f"{path} is damaged: it is not what was written; start over with --restart")
        self._file = path.open("r+b" if path.exists() else "w+b")
        self._file.truncate(size)
        self._file.seek(size)
        self._synced = size

    def write(self, data: bytes) -> None:
        """Append."""
        self._file.write(data)
        self.size += len(data)
        self.checksum = zlib.crc32(data, self.checksum)

    def sync(self) -> None:
        """Return when everything has reached the disk."""
        self._file.flush()
        if self._synced != self.size:
            os.fsync(self._file.fileno())
            self._synced = self.size

    def close(self) -> None:
        """Close the file; what was not synced does not count, so it does not matter whether it can be written."""
        with contextlib.suppress(OSError):
            self._file.close()


class UnfinishedRun:
    """The folder of an unfinished run; make one with :func:`unfinished_run`.

    Attributes
    ----------
    rows, rejects : GrowingFile
    position : Position
        Where in the input the run resumes.
    counts : dict
        What the caller stored with the last chunk; empty for a new run.
    resumed : int
        How often the run was resumed.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], *, resumable: bool) -> None:
        self.folder = folder
        self._head = {"format": FORMAT, "resumable": resumable, "identity": dict(identity)}
        state = _read_state(folder) or {}
        if state:
            _check_same(folder, state["identity"], identity)
        self.position = Position(*state["position"]) if state else START
        self.counts: dict[str, Any] = state.get("counts", {})
        self.resumed: int = state["resumed"] + 1 if state else 0
        self.rows = GrowingFile(folder / ROWS, *state.get("rows", ()))
        self.rejects = GrowingFile(folder / REJECTS, *state.get("rejects", ()))

    def commit(self, position: Position, counts: Mapping[str, Any]) -> None:
        """Store everything that was written up to `position`, with the caller's counts."""
        self.rows.sync()
        self.rejects.sync()
        state = self._head | {
            "position": [position.row, position.line, position.byte],
            "rows": [self.rows.size, self.rows.checksum],
            "rejects": [self.rejects.size, self.rejects.checksum],
            "resumed": self.resumed,
            "counts": dict(counts),
        }
        with atomic_write(self.folder / STATE) as fresh, fresh.open("w", encoding="utf-8") as file:
            json.dump(state, file, ensure_ascii=False)
        self.position = position


@contextmanager
def unfinished_run(
    output: Path, identity: Mapping[str, Any], *, resumable: bool, restart: bool
) -> Iterator[UnfinishedRun]:
    """Open the unfinished run of an output, or begin one.

    When the block ends without an error the folder is removed. After an error it stays if there is something to resume,
    and a note on the error says so.

    Parameters
    ----------
    output : Path
    identity : mapping
        What must be the same for the run to resume: plain data.
    resumable, restart : bool
        Whether another process may resume this run, and whether to discard the one that is there.

    Raises
    ------
    TableError
        If the unfinished run that is there differs, is damaged, or is being worked on.
    """
    from filelock import FileLock, Timeout

    target = checked_target(output)
    folder = _folder(target)
    if folder.exists() and (not folder.is_dir() or any(entry.name not in (*_OURS, LOCK) for entry in folder.iterdir())):
        raise TableError(f"{folder} is not the folder of an unfinished run; rename it, or write to another file")
    lock = FileLock(folder / LOCK, thread_local=False)
    try:
        try:
            folder.mkdir(exist_ok=True)
            sync_folder(folder.parent)
            lock.acquire(timeout=0)
        except Timeout as error:
            raise TableError(f"another process is writing {output}; wait for it, or write to another file") from error
        except OSError as error:
            raise TableError(f"{folder.parent} cannot be written: {reason_of(error)}") from error
        found = None if restart else _read_state(folder)
        if found is None or not found["resumable"]:
            _empty(folder)
        run = UnfinishedRun(folder, identity, resumable=resumable)
        keep = False
        try:
            yield run
        except BaseException as error:
            state = _read_state(folder)  # what lasts is what it says, wherever a signal came
            if resumable and state is not None:
                keep = True
                error.add_note(f"{state['position'][0]:,} rows are done; the same command resumes")
            raise
        finally:
            run.rows.close()
            run.rejects.close()
            if not keep:
                _empty(folder)
    finally:
        if lock.is_locked and not (folder / STATE).exists():  # there is nothing to resume
            _empty(folder)
            lock.release()
            (folder / LOCK).unlink(missing_ok=True)
        lock.release()
        with contextlib.suppress(OSError):  # there is something in it
            folder.rmdir()


def _folder(target: Path) -> Path:
    return target.with_name(target.name + SUFFIX)


def _read_state(folder: Path) -> dict[str, Any] | None:
    path = folder / STATE
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise TableError(f"{path} is damaged ({error}); start over with --restart") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise TableError(f"{path} was written by another version of tawasul-nlp; start over with --restart")
    return state


def _check_same(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise :class:`TableError` that says what differs between the unfinished run and this one."""
    wanted = json.loads(json.dumps(wanted))  # what was stored has lists where this has tuples
    differing = [
        f"{name.replace('_', ' ')} ({found.get(name)!r} before, {wanted.get(name)!r} now)"
        for name in {**found, **wanted}
        if found.get(name) != wanted.get(name)
    ]
    if differing:
        raise TableError(
            f"{folder} holds an unfinished run that differs in {'; '.join(differing)}. Finish it with the same command "
            "as before, or discard it with --restart"
        )


def _empty(folder: Path) -> None:
    """Remove what a run left, the state first: without it the rest means nothing."""
    for name in _OURS:
        with contextlib.suppress(FileNotFoundError):
            (folder / name).unlink()


def _checksum(path: Path, size: int) -> int | None:
    """Return the CRC-32 of the first `size` bytes; None if there are not so many."""
    value = 0
    with path.open("rb") as file:
        while size:
            block = file.read(min(size, _BLOCK))
            if not block:
                return None
            value = zlib.crc32(block, value)
            size -= len(block)
    return value
