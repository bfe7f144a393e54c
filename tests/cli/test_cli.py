"""The tawasul command, run as a user runs it, with the bundled model."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from examples.make_backlog import OUT as BACKLOG
from tawasul_nlp import ComplaintClassifier, __version__, normalize
from tawasul_nlp.cli import main
from tawasul_nlp.domain import find_places
from tawasul_nlp.model.folder import BUNDLED, read_config
from tawasul_nlp.tables.added_columns import ADDED_COLUMNS
from tawasul_nlp.tables.io.formats import open_reader
from tests.table_files import read, write
from tests.waiting import HANG, wait_until

# The package is importable from any folder, and tables are not cut to a narrow terminal.
ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "COLUMNS": "120", "PYTHONPATH": str(ROOT)}
SEWAGE = "المجاري طافحة عندنا من اسبوع في مجمع 714 والريحة ما تنطاق"


def tawasul(*arguments, stdin=b"", cwd=None):
    """Run the command in a process of its own; return its exit code, output and errors."""
    command = [sys.executable, "-m", "tawasul_nlp", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, cwd=cwd, env=ENVIRONMENT)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture(scope="module")
def classified(tmp_path_factory):
    """The example backlog, classified once."""
    folder = tmp_path_factory.mktemp("classified")
    code, out, err = tawasul("classify", BACKLOG, "--text-column", "text", "-o", folder / "out.csv")
    assert (code, err) == (0, "")
    return folder / "out.csv", out


def test_a_backlog_is_classified_with_all_its_rows_and_columns_and_the_summary_adds_up(classified):
    path, out = classified
    before, after = read(BACKLOG), read(path)
    assert list(after[0]) == [*before[0], *ADDED_COLUMNS]
    assert [{name: row[name] for name in before[0]} for row in after] == before
    assert all(agency in out for agency in {row["agency"] for row in after})
    assert f"{len(after):,} rows read = {len(after):,} written + 0 rejected" in out


def test_the_batch_answers_are_those_of_the_predict_api(classified):
    rows = read(classified[0])
    classifier = ComplaintClassifier.from_pretrained(review_on="agency")
    predictions = classifier.predict([row["text"] for row in rows[:40]])
    for row, prediction in zip(rows, predictions, strict=False):
        answers = (prediction.kind, prediction.topic, prediction.agency)
        assert [row["kind"], row["topic"], row["agency"]] == [answer.id for answer in answers]
        assert float(row["topic_probability"]) == pytest.approx(prediction.topic.probability, abs=2e-4)
        assert row["review_reasons"] == "; ".join(prediction.reasons)
        assert row["doubts"] == "; ".join(prediction.doubts)
        assert row["governorate"] == (prediction.places.governorate or "")
    towns = [(row["town"], find_places(row["text"]).area) for row in rows]
    assert ("المحرق", "muharraq_city") in towns and all((town == "") == (area is None) for town, area in towns)


FORM = [
    {"subject": "قمامة متراكمة", "body": "من أسبوع والريحة قوية", "area": "المحرق"},
    {"subject": "طفح مجاري", "body": "", "area": ""},
]


@pytest.fixture
def form(tmp_path, monkeypatch):
    """A folder with the table of a form, in which the command runs."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "form.csv", FORM)
    return tmp_path


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_the_columns_of_a_form_are_read_together_and_placed_by_its_area(form, capsys, ending):
    command = ["classify", "form.csv", "-t", "subject", "-t", "body", "--place-column", "area", "-o", f"out.{ending}"]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "the text of a case is that of the columns 'subject', 'body' together, in this order" in shown
    first, second = (row for chunk in open_reader(f"out.{ending}").chunks() for row in chunk.records())
    assert {name: first[name] for name in FORM[0]} == FORM[0]
    assert (first["agency"], first["town"]) == ("muharraq_municipality", "المحرق")
    assert (second["topic"], second["town"]) == ("sewage_overflow", "")


@pytest.mark.parametrize("command", ["classify", "group"])
def test_an_output_is_replaced_only_by_force(form, capsys, command):
    Path("out.csv").write_text("ملاحظات", encoding="utf-8")
    arguments = [command, "form.csv", "-t", "subject", "-t", "body", "-o", "out.csv", "-q"]
    assert main(arguments) == 1
    assert "out.csv is there already" in capsys.readouterr().err
    assert Path("out.csv").read_text(encoding="utf-8") == "ملاحظات"
    assert main([*arguments, "--force"]) == 0
    whole = Path("out.csv").read_bytes()
    assert main(arguments) == 1, "the same command once more"
    assert Path("out.csv").read_bytes() == whole


def test_a_csv_file_has_a_mark_for_excel_unless_it_is_not_wanted(form):
    for command in ("classify", "group"):
        for option, marked in ([], True), (["--no-bom"], False):
            assert main([command, "form.csv", "-t", "subject", "-q", "--force", "-o", "out.csv", *option]) == 0
            assert Path("out.csv").read_bytes().startswith(b"\xef\xbb\xbf") == marked, (command, option)


def test_a_pipe_in_and_out_carries_data_only_on_standard_output(tmp_path):
    lines = [json.dumps({"n": n, "text": text}, ensure_ascii=False) for n, text in enumerate([SEWAGE, "", "شكرا"])]
    code, out, err = tawasul("classify", "-", "-t", "text", "-o", "-", stdin="\n".join(lines).encode(), cwd=tmp_path)
    rows = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "") and [row["n"] for row in rows] == [0, 1, 2]
    assert rows[0]["topic"] == "sewage_overflow"
    assert (rows[1]["topic"], rows[1]["needs_review"]) == ("out_of_scope", True)
    assert list(tmp_path.iterdir()) == []


def test_rows_that_cannot_be_read_leave_a_file_beside_standard_output_only_where_it_is_named(
    tmp_path, monkeypatch, capfdbinary
):
    monkeypatch.chdir(tmp_path)
    table = tmp_path / "backlog.csv"
    table.write_text("text\nالماي مقطوع\none,two\n", encoding="utf-8")
    assert main(["classify", str(table), "-t", "text", "-o", "-"]) == 3
    out, err = capfdbinary.readouterr()
    assert out.startswith(b"text,kind,") and b"1 of 2 rows could not be read; name --rejects FILE to keep them" in err
    assert [path.name for path in tmp_path.iterdir()] == ["backlog.csv"]
    assert main(["classify", str(table), "-t", "text", "-o", "-", "--rejects", "lost.jsonl", "-q"]) == 3
    assert b"see lost.jsonl" in capfdbinary.readouterr().err and (tmp_path / "lost.jsonl").exists()


def test_rejected_rows_show_in_the_exit_code_and_personal_data_nowhere(tmp_path):
    row = json.dumps({"text": f"{SEWAGE} رقمي 39001234", "note": "39005678"}, ensure_ascii=False)
    (tmp_path / "backlog.jsonl").write_text(f"{row}\n[39001234]\n", encoding="utf-8")
    options = ["-t", "text", "--mask-personal-data", "--mask-column", "note"]
    code, out, err = tawasul("classify", "backlog.jsonl", "-o", "out.csv", *options, cwd=tmp_path)
    assert (code, err) == (3, "tawasul: warning: 1 of 2 rows could not be read; see out.csv.rejects.jsonl\n")
    (written,) = read(tmp_path / "out.csv")
    assert (written["note"], written["text"]) == ("[هاتف]", f"{SEWAGE} رقمي [هاتف]")
    rejected = (tmp_path / "out.csv.rejects.jsonl").read_text(encoding="utf-8")
    assert json.loads(rejected)["row"] == 2
    assert not [number for number in ("39001234", "39005678") if number in out + rejected]
    assert json.loads((tmp_path / "out.csv.manifest.json").read_text(encoding="utf-8"))["rows"]["read"] == 2


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        (
            "classify backlog.csv -t texts -o out.csv",
            1,
            "'case_id', 'opened', 'text'; did you mean --text-column 'text'",
        ),
        ("classify backlog.csv -t txt -o out.csv", 1, "no column 'txt'"),
        ("classify absent.csv -t text -o out.csv", 1, "there is no file absent.csv"),
        ("classify backlog.csv -t text -o out.csv --place-column area", 1, "name one with --place-column"),
        ("classify backlog.csv -t text -o out.csv --header-row 0", 2, "'--header-row'"),
        ("classify backlog.csv -t text -o out.csv --sheet 1", 1, "which has no sheet"),
        ("classify backlog.csv -t text -o out.csv --mask-column tex", 1, "--mask-column 'text'"),
        ("classify backlog.csv -t text -o out.csv --model ./absent", 1, "./absent"),
        ("classify backlog.csv -t text", 2, "Missing option '--output'"),
        ("predict نص --model ./absent", 1, "./absent"),
        ("normalize نص --profile strange", 1, "strange"),
        ("sort", 2, "No such command 'sort'"),
        ("group backlog.csv -t txt -o out.csv", 1, "did you mean --text-column 'text'"),
        ("group backlog.csv -t text --date-column open -o out.csv", 1, "'text'; did you mean --date-column 'opened'?"),
        ("group backlog.csv -t text -o backlog.csv", 1, "is the input itself"),
        ("group backlog.csv -t text", 2, "Missing option '--output'"),
        ("group backlog.csv -t text -o out.csv --threshold 2", 2, "less than or equal to 1"),
        ("group backlog.csv -t text --id-column= -o out.csv --index ix", 1, "name one with --id-column"),
        ("index add ix backlog.csv -t text --id-column=", 1, "name one with --id-column"),
        ("index add ix backlog.csv -t text --id-column id", 1, "no column 'id'"),
        ("index query ix نص", 1, "no index here (index.sqlite is missing); add cases to create one"),
        ("index rebuild ix", 1, "no index here"),
        ("index remove ix", 2, "Missing argument"),
        ("index close ix 1 --reopen-days -1", 2, "reopen-days"),
        ("index sort", 2, "No such command 'sort'"),
    ],
)
def test_every_error_is_one_line_on_standard_error_with_its_exit_code_and_writes_nothing(
    command, code, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    table = f"case_id,opened,text\nk-1,2026-03-01,{SEWAGE}\n".encode()
    Path("backlog.csv").write_bytes(table)
    assert main(command.split()) == code
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith("tawasul: error: ") and message in err
    assert [path.name for path in Path().iterdir()] == ["backlog.csv"] and Path("backlog.csv").read_bytes() == table


def test_predict_answers_as_json_with_arabic_unescaped_or_shows_the_answer(capsys):
    assert main(["predict", SEWAGE, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == ComplaintClassifier.from_pretrained().predict(SEWAGE).to_dict()
    assert answer["topic"]["id"] == "sewage_overflow"
    code, out, err = tawasul("predict", "-", stdin=SEWAGE.encode())
    assert (code, err) == (0, "") and "sewage_overflow" in out and "works" in out


def test_normalize_takes_a_text_or_lines():
    assert tawasul("normalize", "الشـــارع مُظلم") == (0, normalize("الشـــارع مُظلم") + "\n", "")
    lines = ["الشـــارع", "", "٧١٤ مجمع"]
    _, out, _ = tawasul("normalize", "--profile", "matching", stdin="\n".join(lines).encode())
    assert out.splitlines() == [normalize(line, "matching") for line in lines]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "windows-1256", "utf-16"])
def test_standard_input_is_read_in_the_encodings_that_tables_have(encoding, tmp_path, monkeypatch, capsys):
    lines = ["رقمي 39001234", "", SEWAGE]
    (tmp_path / "texts.txt").write_bytes("\r\n".join(lines).encode(encoding))
    for command in (["mask", "--json"], ["predict", "-", "--json"]):
        with (tmp_path / "texts.txt").open() as file:
            monkeypatch.setattr(sys, "stdin", file)
            assert main(command) == 0
    *masked, prediction = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert [line["text"] for line in masked] == ["رقمي [هاتف]", *lines[1:]]
    assert masked[0]["spans"] == [{"kind": "phone", "start": 5, "end": 13}]
    assert prediction["topic"]["id"] == "sewage_overflow"


def test_info_tells_the_models_facts(capsys):
    assert main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    config = read_config(BUNDLED)
    assert facts["tasks"] == {name: len(task.labels) for name, task in config.tasks.items()}
    assert facts["model_hash"] == config.model_hash
    assert main(["info"]) == 0
    assert facts["model_hash"] in capsys.readouterr().out.replace("\n", "")


def test_help_shows_examples_and_exit_codes(capsys):
    assert main(["classify", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "tawasul classify backlog.csv --text-column text -o classified.csv" in shown
    for example in ("-t subject -t body", "complaint.body", "--header-row 3", "--place-column block", "--force"):
        assert example in shown
    assert main(["index"]) == 0
    commands = {"add", "query", "remove", "stats", "verify", "rebuild", "history", "export"}
    decisions = {"merge", "split", "move", "close", "reopen"}
    assert commands | decisions <= set(capsys.readouterr().out.split())
    assert main([]) == 0 and main(["--version"]) == 0
    out = capsys.readouterr().out
    assert "3 done, some" in out and out.splitlines()[-1] == f"tawasul-nlp {__version__}"


def test_arabic_is_printed_whatever_the_locale_says_and_a_broken_byte_spoils_nothing():
    env = {**ENVIRONMENT, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "tawasul_nlp", "normalize"]
    text = "الشارع".encode() + b"\xff\n" + "مظلم".encode()
    done = subprocess.run(command, input=text, capture_output=True, env=env, check=True)
    assert done.stdout.decode().split() == ["الشارع", "مظلم"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="interrupts are sent otherwise there")
def test_an_interrupted_run_says_so_and_the_same_command_resumes(tmp_path):
    rows = "".join(f"{SEWAGE} {n} " * 4 + "\n" for n in range(20_000))
    (tmp_path / "backlog.csv").write_text("text\n" + rows, encoding="utf-8")
    command = [sys.executable, "-m", "tawasul_nlp", "classify", "backlog.csv", "-t", "text", "-o", "out.csv"]
    with subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE) as process:
        wait_until((tmp_path / "out.csv.partial" / "000000.part").exists, process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=HANG)
    assert process.returncode == 130
    said = r"tawasul: error: interrupted; (\d[\d,]*) rows are done; the same command resumes\n"
    done = re.fullmatch(said, err.decode())
    assert done and int(done[1].replace(",", "")) >= 32
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backlog.csv", "out.csv.partial"]


@pytest.mark.parametrize(
    ("command", "shown_by", "said"),
    [
        ("classify backlog.csv -t text -o out.csv", "tawasul_nlp.cli.display.summary", "out.csv is complete"),
        ("group backlog.csv -t text -o out.csv", "tawasul_nlp.cli.display.grouped", "out.csv is complete"),
        ("index add ix backlog.csv -t text --id-column id", "tawasul_nlp.cli.display.grouped", "in the index ix"),
        ("report classified.csv -o page.html", "typer.echo", "page.html is complete"),
    ],
)
def test_an_interrupt_after_the_output_was_published_does_not_say_that_nothing_was_written(
    tmp_path, monkeypatch, capsys, command, shown_by, said
):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    Path("backlog.csv").write_text(f"id,text\n1,{SEWAGE}\n", encoding="utf-8")
    assert main(["classify", "backlog.csv", "-t", "text", "-o", "classified.csv", "-q"]) == 0
    monkeypatch.setattr(shown_by, interrupted)
    assert main(command.split()) == 130
    err = capsys.readouterr().err.splitlines()[-1]
    assert err.startswith("tawasul: error: interrupted; ") and err.endswith(said)


HOSTILE = "[/url] [bold]المجاري[/bold] طافحة :fire: \x1b]0;title\x07 \x1b[2J\x9b2J مجمع 714"


def test_what_citizens_write_is_neither_markup_nor_a_command_to_the_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    name = "نص [/red] \x1b[31m"
    rows = [{"[/b] \x1b[2J": f"[/id] {n} \x1b[5m", name: HOSTILE} for n in range(3)]
    Path("[x].jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "[/broken]\n", encoding="utf-8")
    commands = [
        (["classify", "[x].jsonl", "-t", name, "-o", "[red].jsonl"], 3),
        (["group", "[red].jsonl", "-t", name, "-o", "[z].jsonl", "--id-column", "[/b] \x1b[2J", "--index", "[i]"], 0),
        (["index", "query", "[i]", HOSTILE], 0),
        (["index", "stats", "[i]"], 0),
        (["report", "[z].jsonl", "-t", name, "-o", "[r].html"], 0),
        (["review", "[z].jsonl", "-t", name, "-o", "[v].csv"], 0),
        (["corrections", "apply", "[v].csv", "--to", "[z].jsonl", "-t", name, "-o", "[w].jsonl"], 0),
        (["group", "[red].jsonl", "-t", "[/no]", "-o", "[z].jsonl"], 1),
        (["info", "--model", "[/no]"], 1),
    ]
    for arguments, code in commands:
        assert main(arguments) == code
        out, err = capsys.readouterr()
        assert not set(out + err) & {"\x1b", "\x07", "\x9b"}, arguments
        if "query" in arguments:
            assert "[/url] [bold]المجاري[/bold] طافحة :fire:" in out


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such terminals there")
def test_progress_tells_the_rate_and_what_is_left(tmp_path):
    import pty

    (tmp_path / "backlog.csv").write_text("text\n" + f"{SEWAGE}\n" * 3_000, encoding="utf-8")
    command = [sys.executable, "-m", "tawasul_nlp", "classify", "backlog.csv", "-t", "text", "-o", "out.csv"]
    ours, theirs = pty.openpty()
    terminal = ENVIRONMENT | {"TERM": "xterm"}
    with (
        subprocess.Popen(command, cwd=tmp_path, env=terminal, stdout=theirs, stderr=theirs),
        open(ours, "rb", 0) as screen,
    ):
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the other end is closed
            while more := screen.read(65_536):
                shown += more
    said = shown.decode("utf-8", "replace")
    assert "rows/s" in said and "left" in said and "3,000 rows read = 3,000 written" in said


TRAINING = """
import os, sys
from tawasul_nlp.cli.train import prepare_training
prepare_training()
assert "torch" not in sys.modules
print(os.environ["OMP_WAIT_POLICY"])
"""


@pytest.mark.parametrize(("chosen", "policy"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_threads_of_a_training_sleep_while_they_wait_unless_the_environment_says_otherwise(chosen, policy):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"} | chosen
    command = [sys.executable, "-c", TRAINING]
    assert subprocess.run(command, env=environment, capture_output=True, text=True).stdout.strip() == policy
