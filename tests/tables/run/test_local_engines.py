"""Several processes give what one gives, in the same order, and end with their parent."""

import multiprocessing
import os
import signal
import subprocess
import sys
from functools import partial

import psutil
import pytest

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.tables import WorkerDiedError, classify_table
from tests.tables.keyword_classifier import DiesAt, FailsAt, OftenLate
from tests.tables.run.test_classify import records, write
from tests.tables.run.test_resume import CHUNK_ROWS, ENVIRONMENT, a_backlog, rows_done, run, start, unix
from tests.waiting import HANG, wait_until

pytestmark = pytest.mark.slow


def test_three_workers_write_what_one_process_writes(tmp_path):
    source = a_backlog(tmp_path / "backlog.csv", 600)
    one = run(source, tmp_path / "one.csv")
    steps = []
    three = classify_table(
        OftenLate,
        source,
        tmp_path / "three.csv",
        text_column="text",
        chunk_rows=CHUNK_ROWS,
        workers=3,
        on_step=lambda step: steps.append(step.rows_read),
    )
    assert three.output.read_bytes() == one.output.read_bytes()
    assert (three.rows_read, three.counts) == (one.rows_read, one.counts)
    assert steps == list(range(CHUNK_ROWS, 601, CHUNK_ROWS))
    assert not multiprocessing.active_children()


@unix
def test_a_killed_worker_is_reported_and_the_run_resumes_with_another_number_of_them(tmp_path):
    source = a_backlog(tmp_path / "backlog.csv", 400)
    whole = run(source, tmp_path / "whole.csv").output.read_bytes()
    with pytest.raises(WorkerDiedError, match=r"was killed by signal 9; the system may be out of memory") as died:
        classify_table(
            partial(DiesAt, " 333"), source, tmp_path / "out.csv", text_column="text", chunk_rows=CHUNK_ROWS, workers=2
        )
    done = rows_done(tmp_path / "out.csv")
    assert 200 < done < 333 and died.value.__notes__ == [f"{done} rows are done; the same command resumes"]
    assert run(source, tmp_path / "out.csv").output.read_bytes() == whole


def test_an_error_of_the_classifier_comes_out_as_it_is(tmp_path):
    source = a_backlog(tmp_path / "backlog.csv", 100)
    with pytest.raises(MemoryError, match="no memory for 33"):
        classify_table(partial(FailsAt, " 33"), source, tmp_path / "out.csv", text_column="text", workers=2)
    with pytest.raises(TypeError, match="unexpected keyword"):
        classify_table(partial(FailsAt, wrong=1), source, tmp_path / "out.csv", text_column="text", workers=2)
    with pytest.raises(ValueError, match="workers is 0"):
        classify_table(FailsAt, source, tmp_path / "out.csv", text_column="text", workers=0)


@unix
def test_workers_end_when_their_parent_is_killed_and_the_run_resumes(tmp_path):
    source = a_backlog(tmp_path / "backlog.csv", 2_000)
    output = tmp_path / "out.csv"
    with start(source, output, 2, 1_000) as process:
        wait_until(lambda: rows_done(output), process)
        workers = psutil.Process(process.pid).children()
        process.kill()
        process.communicate()
    gone, alive = psutil.wait_procs(workers, timeout=HANG)
    assert len(gone) >= 2 and not alive
    assert rows_done(output) < 2_000
    assert run(source, output).output.read_bytes() == run(source, tmp_path / "whole.csv").output.read_bytes()


@unix
def test_the_command_with_workers_stops_cleanly_on_an_interrupt_and_resumes(tmp_path):
    source = write(tmp_path / "backlog.csv", records() * 1_200)
    command = [sys.executable, "-m", "tawasul_nlp", "classify", str(source), "-t", "text", "-o", "out.csv"]
    with subprocess.Popen(
        [*command, "--workers", "2"], cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        wait_until(lambda: rows_done(tmp_path / "out.csv"), process)
        seen = rows_done(tmp_path / "out.csv")
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
        _, err = process.communicate(timeout=HANG)
    done = rows_done(tmp_path / "out.csv")
    assert (process.returncode, err.decode()) == (
        130,
        f"tawasul: error: interrupted; {done or 0:,} rows are done; the same command resumes\n",
    )
    assert done >= seen and not (tmp_path / "out.csv").exists()
    again = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert (again.returncode, again.stderr) == (0, "") and "resumed after 1 break" in again.stdout


def test_the_bundled_model_gives_the_same_bytes_in_two_workers(tmp_path):
    source = write(tmp_path / "backlog.csv", records() * 4)
    load = partial(ComplaintClassifier.from_pretrained, threads=1)
    reports = [
        classify_table(load, source, tmp_path / f"{n}.csv", text_column="text", chunk_rows=5, workers=n) for n in (1, 2)
    ]
    assert reports[0].output.read_bytes() == reports[1].output.read_bytes()
    assert reports[0].counts == reports[1].counts
