"""Files on their way: no input is written over, and what a killed process left is removed by the next."""

import json
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tawasul_nlp.cli import main
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.files import PendingFile, check_apart
from tests.robustness.tables import outputs_over_inputs
from tests.table_files import read, write
from tests.tables.run.test_classify import records, run
from tests.tables.run.test_resume import ENVIRONMENT, ROOT

unix = pytest.mark.skipif(sys.platform == "win32", reason="signals, links and locks are other there")


@unix
def test_no_command_writes_over_what_it_reads_by_whatever_name():
    assert outputs_over_inputs().note == ""


@pytest.mark.parametrize("command", [["classify"], ["group"], ["index", "add", "ix"]], ids=" ".join)
def test_no_file_of_the_model_in_use_is_written_over(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "backlog.csv", records())
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    target = "--rejects" if "add" in command else "-o"
    options = ["-t", "text", "--id-column", "رقم"][: 2 if command == ["classify"] else 4]
    assert main([*command, "backlog.csv", *options, "--model", "model", target, "model/config.json"]) == 1
    assert "is the input itself" in capsys.readouterr().err
    assert (tmp_path / "model" / "config.json").read_text() == "{}"


def test_a_file_that_this_run_would_tidy_up_is_not_its_input(tmp_path):
    path = tmp_path / ".out.csv.abcd_123.tawasul-new"
    with pytest.raises(TableError, match="is the input itself"):
        check_apart([path], {"output": tmp_path / "out.csv"})
    check_apart([path], {"output": tmp_path / "other.csv"})


HOLD = """
import sys, time
from tawasul_nlp.tables.io.files import PendingFile
pending = PendingFile(sys.argv[1])
pending.path.write_text("نصف")
print("held", flush=True)
time.sleep(60)
"""


@contextmanager
def killed_and_living(code, *arguments):
    """Start two processes of the same code; when both have said something, the first of them is killed."""
    command = [sys.executable, "-c", code, *arguments]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=ENVIRONMENT) for _ in range(2)]
    try:
        for process in processes:
            process.stdout.readline()
        processes[0].kill()
        processes[0].wait()
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()


@unix
def test_a_file_of_a_killed_process_is_removed_by_the_next_and_that_of_a_living_one_is_not(tmp_path):
    target = tmp_path / "out.csv"
    others = [tmp_path / ".out.csv.new", tmp_path / ".out.csv.abcdefgh.partial", tmp_path / ".out.csv.x.tawasul-new"]
    for other in others:
        other.write_text("somebody else's")
    with killed_and_living(HOLD, target):
        assert len(temporary(tmp_path)) == 2
        pending = PendingFile(target)
        assert len(temporary(tmp_path)) == 2, "the living one's and ours"
        pending.path.write_text("نص")
        pending.publish()
        pending.discard()
        assert target.read_text() == "نص" and len(temporary(tmp_path)) == 1
    PendingFile(target).discard()
    assert temporary(tmp_path) == [] and all(other.read_text() == "somebody else's" for other in others)


def temporary(folder):
    return [path.name for path in folder.iterdir() if path.name.endswith(".tawasul-new") and ".x." not in path.name]


KILLED_IN_THE_MANIFEST = """
import os, signal, sys
from tawasul_nlp.tables.run import outputs
from tests.tables.run.test_classify import run
real = outputs.json.dumps
outputs.json.dumps = lambda *a, **how: os.kill(os.getpid(), signal.SIGKILL) if "indent" in how else real(*a, **how)
run(*sys.argv[1:])
"""


@unix
def test_what_a_kill_leaves_while_the_manifest_is_written_is_gone_after_the_next_run(tmp_path):
    source, output = write(tmp_path / "backlog.csv", records()), tmp_path / "out.csv"
    command = [sys.executable, "-c", KILLED_IN_THE_MANIFEST, source, output]
    assert subprocess.run(command, cwd=ROOT, env=ENVIRONMENT).returncode == -signal.SIGKILL
    assert len(temporary(tmp_path)) == 3  # of the table, the rejects and the manifest
    assert len(read(run(source, output).output)) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backlog.csv", "out.csv", "out.csv.manifest.json"]
    assert json.loads((tmp_path / "out.csv.manifest.json").read_text(encoding="utf-8"))["rows"]["read"] == 5
