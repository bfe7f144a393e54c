"""A run that is killed goes on where it stopped, and its output does not tell."""

import errno
import os
import resource
import signal
import sys
from pathlib import Path
from pkgutil import resolve_name

import pytest

from tawasul_nlp import ComplaintClassifier, DuplicateGrouper
from tawasul_nlp.domain import Domain
from tawasul_nlp.tables import WriteOptions, classify_table, group_table
from tawasul_nlp.tables.errors import InputChangedError, TableError
from tawasul_nlp.tables.run.pipeline import ModelFacts
from tests.packs import changed_domain
from tests.robustness import changed_inputs, classify_kills
from tests.table_files import write
from tests.tables.keyword_classifier import Configured, KeywordClassifier, Other, Stops
from tests.tables.run.test_classify import ENDINGS, TEXTS, records

CHUNK_ROWS = 25
ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
unix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits are other there")


def a_backlog(path, rows=2_000):
    """Write a table of which every seventh row cannot be read, where its format allows that."""
    table = [
        {"id": n, "text": f"{TEXTS[n % len(TEXTS)]} {n}".replace("\n", " "), "opened": "=1+1"} for n in range(rows)
    ]
    write(path, table)
    if path.suffix != ".parquet":
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        for at in range(7, len(lines), 21):
            lines[at] = "{زائد,زائد,زائد,زائد\n"
        path.write_text("".join(lines), encoding="utf-8", newline="")
    return path


def run(source, output, **options):
    return classify_table(KeywordClassifier(), source, output, text_column="text", chunk_rows=CHUNK_ROWS, **options)


def rows_done(output):
    """Return how many rows the unfinished run of an output has done."""
    return len(list(output.with_name(output.name + ".partial").glob("*.part"))) * CHUNK_ROWS


@pytest.mark.slow
@unix
@pytest.mark.parametrize("kills", [pytest.param(5, marks=pytest.mark.smoke), 15])
def test_a_run_that_is_killed_at_any_moment_starting_working_or_publishing_ends_as_if_it_had_not_been(kills):
    outcome = next(classify_kills.run(kills, 2))
    assert outcome.trials >= kills and outcome.failures == 0, outcome.note


def stop(source, output, at=3, **options):
    with pytest.raises(MemoryError) as stopped:
        classify_table(Stops(at), source, output, text_column="text", chunk_rows=CHUNK_ROWS, **options)
    return stopped.value


def test_only_the_same_run_resumes_and_no_row_is_classified_twice(tmp_path):
    source, output = a_backlog(tmp_path / "backlog.csv", 200), tmp_path / "out.csv"
    error = stop(source, output, 3)
    assert error.__notes__ == ["75 rows are done; the same command resumes"]
    with pytest.raises(TableError, match=r"differs in mask columns \(\[\] before, \['text'\] now\).*--restart"):
        run(source, output, mask_columns=["text"])
    domain = Configured(domain=Domain.bundled())
    for name, other in (("hash", Other()), ("runtime", Configured(runtime="torch, cuda")), ("domain", domain)):
        with pytest.raises(TableError, match=rf"differs in model \(.*'{name}': .* before, .*'{name}': [^N]"):
            classify_table(other, source, output, text_column="text", chunk_rows=CHUNK_ROWS)
    content = source.read_bytes()
    a_backlog(source, 201)
    with pytest.raises(TableError, match=r"differs in input \(.*'bytes'"):
        run(source, output)
    source.write_bytes(content)  # touched, but the same
    assert rows_done(output) == 75
    steps = []
    report = run(source, output, on_step=steps.append)
    assert [(step.rows_read, step.resumed) for step in steps[:2]] == [(75, True), (100, False)]
    assert (report.rows_read, report.resumed) == (200, 1)


@pytest.mark.parametrize("ending", ENDINGS)
def test_interrupts_after_each_chunk_lose_none(tmp_path, ending):
    source = a_backlog(tmp_path / f"backlog{ending}", 120)
    steps = []
    whole = run(source, tmp_path / f"whole{ending}", on_step=lambda step: steps.append(step.rows_read)).output
    assert steps == [25, 50, 75, 100, 120]

    def interrupt(step):
        if not step.resumed:
            raise KeyboardInterrupt

    for done in steps[:3]:
        with pytest.raises(KeyboardInterrupt) as interrupted:
            run(source, tmp_path / f"out{ending}", on_step=interrupt)
        assert interrupted.value.__notes__ == [f"{done:,} rows are done; the same command resumes"]
    report = run(source, tmp_path / f"out{ending}")
    assert report.resumed == 3 and report.output.read_bytes() == whole.read_bytes()


def test_an_interrupt_in_the_middle_of_a_commit_loses_nothing_that_was_committed(tmp_path, monkeypatch):
    source = a_backlog(tmp_path / "backlog.csv", 100)
    whole = run(source, tmp_path / "whole.csv").output.read_bytes()

    def interrupt(folder):
        if (folder / "000000.part").exists():
            raise KeyboardInterrupt  # the part has its name, and the folder is about to reach the disk

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt) as interrupted:
        patch.setattr("tawasul_nlp._system.sync_folder", interrupt)
        run(source, tmp_path / "out.csv")
    assert interrupted.value.__notes__ == ["25 rows are done; the same command resumes"]
    report = run(source, tmp_path / "out.csv")
    assert report.resumed == 1 and report.output.read_bytes() == whole


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data[:40] + b"!" + data[41:], lambda _: b""])
def test_a_damaged_part_and_those_after_it_are_computed_again(tmp_path, damage):
    source = a_backlog(tmp_path / "backlog.csv", 200)
    whole = run(source, tmp_path / "whole.csv").output.read_bytes()
    stop(source, tmp_path / "out.csv")
    folder = tmp_path / "out.csv.partial"
    (folder / "000001.part").write_bytes(damage((folder / "000001.part").read_bytes()))
    (folder / "000003.part.partial").write_bytes(b"cut o")
    steps = []
    report = run(source, tmp_path / "out.csv", on_step=lambda step: steps.append(step.rows_read))
    assert steps[:2] == [25, 50] and report.output.read_bytes() == whole and not folder.exists()


def test_a_run_whose_description_is_damaged_is_refused_and_can_be_thrown_away(tmp_path):
    source = a_backlog(tmp_path / "backlog.csv", 200)
    stop(source, tmp_path / "out.csv")
    path = tmp_path / "out.csv.partial" / "run.json"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(TableError, match=r"damaged.*--restart"):
        run(source, tmp_path / "out.csv")
    report = run(source, tmp_path / "out.csv", restart=True)
    assert report.resumed == 0 and report.rows_read == 200


def test_what_decides_the_answers_of_a_real_model_is_known(tmp_path):
    renamed = changed_domain(tmp_path, "agencies", "name_en: ", "name_en: The ")
    usual, same, other = (
        ModelFacts.of(ComplaintClassifier.from_pretrained(domain=domain)).identity
        for domain in (None, Domain.bundled(), renamed)
    )
    assert usual == same and usual["runtime"] == "ONNX Runtime, CPU"
    assert {name for name in usual if usual[name] != other[name]} == {"domain"}


@pytest.mark.slow
def test_no_run_publishes_rows_of_an_input_that_was_there_for_a_while():
    assert [outcome.note for outcome in changed_inputs.run(8, 1)] == ["", "", ""]


@unix
def test_an_input_that_is_overwritten_and_restored_with_its_times_is_known_and_the_rows_before_it_count(tmp_path):
    source = changed_inputs.write_input(tmp_path / "backlog.csv", "مجاري")
    whole = run(source, tmp_path / "whole.csv").output.read_bytes()
    before, times = source.read_bytes(), source.stat()

    def change_and_restore(step):
        if step.rows_read == 75:
            changed_inputs.write_input(source, "زبالة")
            source.write_bytes(before)
            os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))

    with pytest.raises(InputChangedError, match=r"was changed while it was read.*nobody writes to it") as stopped:
        run(source, tmp_path / "out.csv", on_step=change_and_restore)
    assert (source.stat().st_size, source.stat().st_mtime_ns) == (times.st_size, times.st_mtime_ns)
    assert stopped.value.__notes__ == ["75 rows are done; the same command resumes"]
    report = run(source, tmp_path / "out.csv")
    assert report.resumed == 1 and report.output.read_bytes() == whole


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path):
    source = a_backlog(tmp_path / "backlog.csv", 50)
    (tmp_path / "out.csv.partial").mkdir()
    (tmp_path / "out.csv.partial" / "رسالة.txt").write_text("لا تحذف")
    with pytest.raises(TableError, match="is not the folder of an unfinished run"):
        run(source, tmp_path / "out.csv", restart=True)
    assert (tmp_path / "out.csv.partial" / "رسالة.txt").read_text() == "لا تحذف"


def test_two_runs_do_not_write_one_output_at_once(tmp_path):
    source = a_backlog(tmp_path / "backlog.csv", 50)
    refused = []

    def again(step):
        with pytest.raises(TableError, match="another process is writing") as error:
            run(source, tmp_path / "out.csv")
        refused.append(error)

    assert run(source, tmp_path / "out.csv", on_step=again).rows_read == 50
    assert len(refused) == 2


STEPS = {
    "writing": ("io.formats.Layout.whole_schema", lambda layout: True),
    "rejects": ("io.files.PendingFile.publish", lambda file: "rejects" in file.target.name),
    "manifest": ("io.files.PendingFile.publish", lambda file: "manifest" in file.target.name),
    "table": ("io.files.PendingFile.publish", lambda file: file.target.stem == "out"),
    "end": ("run.parts._empty", lambda folder: (folder / "000000.part").exists()),
}


def kill_at(step, source, output):
    """Run until a step is to be taken; what the run would tidy up after an error stays, as after a kill."""
    name, due = STEPS[step]
    module, _, function = f"tawasul_nlp.tables.{name}".rpartition(".")
    real = getattr(resolve_name(module), function)

    def stop_when_due(*arguments):
        if due(*arguments):
            raise KeyboardInterrupt
        return real(*arguments)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(f"{module}.{function}", stop_when_due)
        run(source, output)


@unix
@pytest.mark.parametrize("ending", [*ENDINGS, ".xlsx"])
@pytest.mark.parametrize("step", ["rejects", "manifest", "table", "end"])
def test_a_run_killed_while_it_publishes_is_finished_by_the_next_and_what_is_published_stays(tmp_path, step, ending):
    source, output = a_backlog(tmp_path / "backlog.csv", 100), tmp_path / f"out{ending}"
    whole = run(source, tmp_path / f"whole{ending}")
    kill_at(step, source, output)
    published = output.read_bytes() if output.exists() else None
    assert published == (whole.output.read_bytes() if step == "end" else None)
    if ending == ".parquet":  # the next run is killed as well, while it writes the table anew
        kill_at("writing", source, output)
        assert (output.read_bytes() if output.exists() else None) == published
    report = run(
        source, output, write=WriteOptions(overwrite=False)
    )  # what it has published itself is no other's output
    assert report.output.read_bytes() == whole.output.read_bytes() and report.manifest.exists()
    assert report.rejects.read_bytes() == whole.rejects.read_bytes()
    assert len(list(tmp_path.iterdir())) == 1 + 2 * 3


@unix
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_full_disk_is_reported_and_the_run_resumes_when_there_is_room(tmp_path, ending):
    source = a_backlog(tmp_path / f"backlog{ending}", 1_000)
    whole = run(source, tmp_path / f"whole{ending}").output.read_bytes()
    # A limit on the size of files stands for the full disk; the error is the system's own.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) * 3 // 4, before[1]))
        with pytest.raises(TableError, match=os.strerror(errno.EFBIG)):
            run(source, tmp_path / f"out{ending}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert rows_done(tmp_path / f"out{ending}")
    report = run(source, tmp_path / f"out{ending}")
    assert report.resumed == 1 and report.output.read_bytes() == whole


def test_grouping_resumes_where_the_model_stopped_reading(tmp_path):
    source = write(tmp_path / "backlog.csv", records() * 4)
    grouper = DuplicateGrouper.from_pretrained()
    whole = group_table(grouper, source, tmp_path / "whole.csv", text_column="text", chunk_rows=6)

    def interrupt(what, done, _total):
        if (what, done) == ("encoded", 12):
            raise KeyboardInterrupt

    def group(**options):
        return group_table(grouper, source, tmp_path / "out.csv", text_column="text", chunk_rows=6, **options)

    with pytest.raises(KeyboardInterrupt) as stopped:
        group(on_step=interrupt)
    assert stopped.value.__notes__ == ["12 rows are done; the same command resumes"]
    with pytest.raises(TableError, match=r"differs in case columns \(.*--restart"):
        group(topic_column="القناة")
    with pytest.raises(TableError, match="differs in output format"):
        group(write=WriteOptions(format="jsonl"))
    encoded = []
    report = group(on_step=lambda what, done, _total: encoded.append(done) if what == "encoded" else None)
    assert encoded == [18, 20] and report.output.read_bytes() == whole.output.read_bytes()
    assert not (tmp_path / "out.csv.partial").exists()
