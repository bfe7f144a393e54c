"""A format is declared once; a file is known by its bytes and its name; options are checked when they are made."""

from pathlib import Path

import pytest

from tawasul_nlp.cli import main
from tawasul_nlp.tables import ReadOptions, WriteOptions
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io import formats
from tawasul_nlp.tables.io.chunk import Reader, Written
from tawasul_nlp.tables.io.formats import TableFormat, format_names, known_format, open_reader, register, sniff_format
from tests.table_files import write
from tests.tables.run.test_classify import TEXTS, records, run

DOCS = Path(__file__).parents[3] / "docs"


class CardReader(Reader):
    """Reads cards: an id, a bar and a text on each line below the first."""

    columns = ("id", "text")

    def __init__(self, path, options, text_column):
        self._lines = path.read_text(encoding="utf-8").splitlines()[1:]

    def _parsed(self):
        rows = (dict(zip(self.columns, line.split("|"), strict=True)) for line in self._lines)
        return ((n, 0, row, 0) for n, row in enumerate(rows, 1))

    def fraction_read(self):
        return 1.0


def write_cards(path, layout, content):
    """Write cards with the topic, when there is one, behind a second bar."""
    topic, lines = list(layout.types).index("topic"), []
    for chunk, added in content:
        for row, values in zip(chunk.records(), added, strict=True):
            lines.append(f"{row['id']}|{row['text']}|{values[topic]}\n")
    path.write_text("CARDS\n" + "".join(lines), encoding="utf-8")
    return Written(len(lines))


@pytest.fixture
def cards(monkeypatch):
    """A format that only this test knows."""
    monkeypatch.setattr(formats, "_FORMATS", dict(formats._FORMATS))
    register(
        TableFormat(
            name="cards",
            title="a box of cards",
            suffixes=(".cards",),
            open=CardReader,
            write=write_cards,
            recognises=lambda path, start: start.startswith(b"CARDS\n"),
            binary=True,
        )
    )


@pytest.mark.parametrize(
    "options",
    [["box.cards", "-o", "out.cards"], ["box", "--input-format", "cards", "-o", "out", "--output-format", "cards"]],
    ids=["by their names", "by the options"],
)
def test_a_format_that_is_declared_in_one_place_is_classified_through_the_command(
    cards, tmp_path, monkeypatch, options
):
    monkeypatch.chdir(tmp_path)
    Path(options[0]).write_text("CARDS\n1|الماي مقطوع عندنا من أمس\n2|المجاري طافحة في الشارع\n", encoding="utf-8")
    assert main(["classify", *options, "-t", "text", "-q"]) == 0
    assert Path(options[options.index("-o") + 1]).read_text(encoding="utf-8").splitlines() == [
        "CARDS",
        "1|الماي مقطوع عندنا من أمس|water_outage_pressure",
        "2|المجاري طافحة في الشارع|sewage_overflow",
    ]


def test_a_declared_format_is_among_those_that_messages_name(cards, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert format_names() == ["cards", "csv", "jsonl", "parquet", "xlsx"]
    with pytest.raises(ValueError, match="^format is 'xls', expected one of cards, csv, jsonl, parquet, xlsx$"):
        ReadOptions(format="xls")
    assert main(["classify", "box", "--input-format", "xls", "-t", "text", "-o", "out.csv"]) == 2
    assert "got 'xls', expected one of cards, csv, jsonl, parquet, xlsx" in capsys.readouterr().err
    source = write(tmp_path / "backlog.csv", records())
    with pytest.raises(TableError, match=r"end it in one of \.cards, \.csv, \.json, .*\.xlsx$"):
        run(source, tmp_path / "out.doc")
    (tmp_path / "torn.cards").write_text("1|الماي مقطوع", encoding="utf-8")
    with pytest.raises(TableError, match="is named as a box of cards but does not begin as one"):
        open_reader(tmp_path / "torn.cards")


def test_every_format_is_in_the_documentation_and_reads_what_it_wrote(tmp_path):
    listed = next(
        line for line in (DOCS / "command.md").read_text(encoding="utf-8").splitlines() if "| formats |" in line
    )
    source = write(tmp_path / "backlog.csv", records())
    for name in format_names():
        format = known_format(name)
        assert format.title.split()[1] in listed and f"`{name}`" in listed
        output = run(source, tmp_path / "out", write=WriteOptions(format=name)).output
        assert sniff_format(output) is format
        rows = [row for chunk in open_reader(output).chunks() for row in chunk.records()]
        assert [row["text"] or "" for row in rows] == TEXTS


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (b"PK\x03\x04rest", "a zip archive or a damaged Excel workbook"),
        (b"\x1f\x8brest", "compressed; unpack it"),
        (b"\xd0\xcf\x11\xe0rest", "old Excel"),
        (b"%PDF-1.7", "a PDF; export the table as CSV"),
        (b"backlog.csv".ljust(257, b"\0") + b"ustar", "a tar archive; unpack it"),
        ('[{"text": "الشارع مظلم"}]'.encode(), "jq -c"),
    ],
)
def test_files_that_are_no_tables_are_refused_with_advice(tmp_path, content, advice):
    path = tmp_path / ("backlog.json" if content.startswith(b"[") else "backlog.csv")
    path.write_bytes(content)
    with pytest.raises(TableError, match=advice):
        open_reader(path)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"format": "xls"}, "format is 'xls', expected one of csv, jsonl, parquet, xlsx"),
        ({"encoding": "arabic-1999"}, "unknown encoding 'arabic-1999'; expected a name such as utf-8"),
        ({"delimiter": "::"}, "delimiter is '::', expected one character"),
        ({"delimiter": ""}, "delimiter is '', expected one character"),
        ({"header_row": 0}, "header_row is 0, expected a whole number, at least 1"),
        ({"header_row": 1.5}, "header_row is 1.5, expected a whole number, at least 1"),
        ({"header_row": True}, "header_row is True, expected a whole number, at least 1"),
    ],
)
def test_a_table_cannot_be_read_in_a_way_that_there_is_not(options, told):
    with pytest.raises(ValueError, match=f"^{told}"):
        ReadOptions(**options)
    if "format" in options:
        with pytest.raises(ValueError, match=f"^{told}"):
            WriteOptions(**options)


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("backlog.csv", {"sheet": "2026"}, "is a CSV file, which has no sheet '2026'; leave --sheet out"),
        ("backlog.jsonl", {"header_row": 2}, "is a JSONL file, which has no header row; leave --header-row out"),
        ("backlog.csv", {"format": "parquet"}, "is not a Parquet file that can be read"),
        ("backlog.csv", {"header_row": 300}, "no header line in its first lines from line 300 on"),
    ],
)
def test_what_does_not_fit_a_file_is_reported_when_it_is_opened(tmp_path, name, options, told):
    path = tmp_path / name
    path.write_text('{"text": "الماي مقطوع"}\n', encoding="utf-8")
    with pytest.raises(TableError, match=told):
        open_reader(path, ReadOptions(**options))
