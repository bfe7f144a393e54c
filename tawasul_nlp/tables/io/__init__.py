"""Tables in and out: formats, readers of chunks, writers. A format is one module, and a line here."""

from tawasul_nlp.tables.io.csv import CSV
from tawasul_nlp.tables.io.excel_writer import EXCEL
from tawasul_nlp.tables.io.formats import register
from tawasul_nlp.tables.io.jsonl import JSONL
from tawasul_nlp.tables.io.parquet import PARQUET

for _format in (CSV, JSONL, PARQUET, EXCEL):
    register(_format)
