"""Does anything leave the machine, or write where nobody asked it to? Every way to use the library, under strace."""

from __future__ import annotations

import csv
import ipaddress
import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from examples.make_backlog import OUT as BACKLOG
from tests.robustness.harness import Outcome, repeat

PROMISE = "nothing leaves the machine; files are written where the user says"
ROWS = 40  # the first of the example backlog
TABLE = "cases.csv"
_TAWASUL = ("-m", "tawasul_nlp")
_COLUMNS = ("--text-column", "text")
_PREDICT = f"""
import csv
from tawasul_nlp import ComplaintClassifier, predict

predict("المجاري طافحة في مجمع 714")
with open("{TABLE}", encoding="utf-8", newline="") as file:
    texts = [row["text"] for row in csv.DictReader(file)]
ComplaintClassifier.from_pretrained(threads=2).predict(texts * 40)  # many batches: a session for each thread
"""
_INDEX = f"""
import csv
from tawasul_nlp import DuplicateGrouper, DuplicateIndex

with open("{TABLE}", encoding="utf-8", newline="") as file:
    cases = [{{"id": row["case_id"], "text": row["text"]}} for row in csv.DictReader(file)]
for _ in range(2):  # once anew, once opened again
    with DuplicateIndex.open("incidents", DuplicateGrouper.from_pretrained()) as index:
        index.add(cases[: len(cases) // 2] if not len(index) else cases[len(cases) // 2 :])
        index.query(cases[0]["text"])
"""
_SERVICE = """
import http.client, json
from pathlib import Path

from eval.processes import serving

case = {"id": "A1", "text": "المجاري طافحة في مجمع 714"}
asked = {
    "/predict": {"texts": [case["text"]]},
    "/incidents/add": {"cases": [case]},
    "/incidents/query": {"text": case["text"]},
    "/docs": None,
    "/metrics": None,
}
with serving(Path("log"), "--index", "incidents") as served:
    for path, body in asked.items():
        client = http.client.HTTPConnection(served.address.removeprefix("http://"))
        method, sent = ("GET", None) if body is None else ("POST", json.dumps(body))
        client.request(method, path, sent, {"Content-Type": "application/json"})
        assert client.getresponse().status == 200, path
        client.close()
"""


_CLASSIFY = (*_TAWASUL, "classify", TABLE, *_COLUMNS)
# Ways to use the library: arguments of the interpreter, one run after another.
USES: dict[str, tuple[tuple[str, ...], ...]] = {
    "predict, by one thread and by two": (("-c", _PREDICT),),
    "an index of incidents": (("-c", _INDEX),),
    "classify to Parquet, group, report": (
        (*_CLASSIFY, "-o", "out.parquet"),
        (*_TAWASUL, "group", "out.parquet", *_COLUMNS, "-o", "grouped.csv"),
        (*_TAWASUL, "report", "grouped.csv", "-o", "report.html"),
    ),
    "classify standard input": ((*_TAWASUL, "classify", "-", *_COLUMNS, "--input-format", "csv", "-o", "-"),),
    "the service": (("-c", _SERVICE),),
}


def watch(commands: Iterable[Sequence[str]], folder: Path) -> tuple[list[str], list[str]]:
    """Use the library in a new folder, under strace; return what it wrote beyond it, and what it reached."""
    outside, reached = [], []
    work = folder / "work"
    work.mkdir(parents=True)
    with BACKLOG.open(encoding="utf-8", newline="") as source, (work / TABLE).open("w", encoding="utf-8") as target:
        csv.writer(target).writerows(itertools.islice(csv.reader(source), ROWS + 1))
    for number, command in enumerate(commands):
        more = trace([sys.executable, *command], folder, (work / TABLE).read_bytes(), calls=f"calls{number}")
        outside += more[0]
        reached += more[1]
    return outside, reached


def run(trials: int, seed: int) -> Iterator[Outcome]:
    """Use the library in every way, several times: what a library sends, it does not send in every run."""
    for name, commands in USES.items():

        def trial(folder: Path, commands: Iterable[Sequence[str]] = commands) -> str:
            outside, reached = watch(commands, folder)
            return " ".join([*(Path(path).name for path in outside), *reached][:5])

        yield repeat(PROMISE, name, max(1, trials // 40), trial)


# -- strace ------------------------------------------------------------------------------------------------------------

ROOT = Path(__file__).parent.parent.parent
STRACE = shutil.which("strace")
_OPENS = ("open", "openat", "openat2", "creat")
_CHANGES = (
    *("mkdir", "mkdirat", "mknod", "mknodat", "rmdir", "unlink", "unlinkat", "truncate"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
    *("chmod", "fchmodat", "chown", "lchown", "fchownat", "utime", "utimes", "utimensat", "setxattr", "lsetxattr"),
)
_SENDS = ("connect", "bind", "sendto", "sendmsg", "sendmmsg")
# The ring passes requests to the kernel that strace does not see.
_OTHERS = ("socket", "chdir", "fchdir", "io_uring_setup")
_CALL = re.compile(r"(\w+)\((.*)\) += (?:-?\d+|\?)(?:<(.*)>)?(?: (E[A-Z]+))?")
# A name with the folder that it is relative to, where strace prints it.
_NAME = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?(?<!=)"((?:[^"\\]|\\.)*)"')
_FOR_WRITING = re.compile(r"O_(?:WRONLY|RDWR|CREAT|TRUNC|TMPFILE)")
_INET = re.compile(r'(?:port=htons\((\d+)\)|sin6?_port=\d+).*?(?:inet_addr\(|inet_pton\(AF_INET6, )"([^"]+)"')
_FAMILY = re.compile(r"sa_family=(AF_\w+)")
_SOCKET_FILE = re.compile(r'sun_path=(@?)"([^"]*)"')
# Netlink asks the kernel itself, and a socket without an address family is one that is let go.
_INTERNAL = frozenset({"AF_UNIX", "AF_LOCAL", "AF_INET", "AF_INET6", "AF_NETLINK", "AF_UNSPEC"})
_DNS = 53


def trace(
    command: Sequence[str], folder: Path, stdin: bytes = b"", *, calls: str = "calls"
) -> tuple[list[str], list[str]]:
    """Run a command under strace, as a user without settings whose home folder is new.

    The working folder is ``work`` in ``folder``, the home folder ``home``, the one for temporary files ``tmp``; strace
    writes to ``calls``. Returns what the command and all its children changed or tried to outside the working folder
    and the one for temporary files, and the sockets beyond loopback addresses and attempts to look up a host's name.

    Raises
    ------
    RuntimeError
        If strace is not installed, saw nothing because it is not allowed to watch, or saw the command fail.
    """
    if STRACE is None:
        raise RuntimeError("needs Debian's package strace")
    work, home, temporary, written = (folder / name for name in ("work", "home", "tmp", calls))
    for path in (work, home, temporary, written):
        path.mkdir(parents=True, exist_ok=True)
    settings = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",  # the interpreter's own cache, beside the modules
        **{name: os.environ[name] for name in ("OMP_NUM_THREADS",) if name in os.environ},
    }
    names = ",".join(f"?{name}" for name in (*_OPENS, *_CHANGES, *_SENDS, *_OTHERS))
    watched = [STRACE, "-ff", "--seccomp-bpf", "-y", "-s", "4096", "-e", f"trace={names}", "-o", str(written / "of")]
    done = subprocess.run([*watched, *command], input=stdin, capture_output=True, cwd=work, env=settings)
    logs = sorted(written.iterdir())
    errors = done.stderr.decode(errors="replace")
    if not any(path.stat().st_size for path in logs):
        raise RuntimeError(f"strace saw nothing of {command[0]}: {errors or done.returncode}")
    if done.returncode:
        raise RuntimeError(f"{command[1:]} ended with {done.returncode}: {errors[-2000:]}")
    lines = [line for path in logs for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    changed = {name for line in lines for name in _changed(line, work)}
    # The device that swallows everything is no file, and what lies in /dev/shm is memory that processes share:
    # semaphores and queues of ``multiprocessing``.
    allowed = (str(work.resolve()), str(temporary.resolve()), "/dev/null", "/dev/shm")
    outside = sorted(p for p in changed if not any(p == place or p.startswith(f"{place}/") for place in allowed))
    return outside, sorted({place for line in lines for place in _reached(line)})


def _changed(line: str, work: Path) -> Iterator[str]:
    """Yield what a call changed, or tried to."""
    match = _CALL.match(line)
    if match is None:
        return
    name, arguments, opened, error = match.groups()
    # What is not there cannot be changed, nor can what is there be made.
    if error in ("ENOENT", "EEXIST") or (name in _OPENS and name != "creat" and not _FOR_WRITING.search(arguments)):
        return
    if name in _OPENS and opened:
        yield opened
    elif name in (*_OPENS, *_CHANGES):
        names = [os.path.join(place or str(work), quoted) for place, quoted in _NAME.findall(arguments)]
        yield from map(os.path.normpath, names)
        if not names:  # attributes of an open file
            yield from re.findall(r"\d+<([^>]*)>", arguments)[:1]
    elif name in ("chdir", "fchdir") and arguments != f'"{work}"':
        yield f"relative names, after {name}({arguments})"


def _reached(line: str) -> Iterator[str]:
    """Yield what a call reached, or tried to reach, beyond this machine."""
    name = line.partition("(")[0]
    if name in _OPENS and '"/etc/resolv.conf"' in line:
        yield "names of hosts: /etc/resolv.conf"
    elif name == "io_uring_setup":
        yield line
    elif name == "socket":
        family = line.removeprefix("socket(").partition(",")[0]
        if family not in _INTERNAL or ("SOCK_RAW" in line and family != "AF_NETLINK"):
            yield line
    elif name in _SENDS:
        for port, text in _INET.findall(line):
            address = ipaddress.ip_address(text)
            if not (getattr(address, "ipv4_mapped", None) or address).is_loopback or int(port or 0) == _DNS:
                yield f"{name} {address}:{port}"
        yield from (f"{name} {family}" for family in _FAMILY.findall(line) if family not in _INTERNAL)
        # systemd's resolver is asked through a file.
        yield from (f"{name} {path}" for _, path in _SOCKET_FILE.findall(line) if "resolve" in path)
