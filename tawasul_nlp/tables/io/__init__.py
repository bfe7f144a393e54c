"""Tables in and out: formats, readers of chunks, writers. A format is one module, and a line here."""

from tawasul_nlp.tables.io.csv_format import CSV
from tawasul_nlp.tables.io.excel_format import EXCEL
from tawasul_nlp.tables.io.formats import register
from tawasul_nlp.tables.io.jsonl_format import JSONL
from tawasul_nlp.tables.io.parquet_format import PARQUET

for _format in (CSV, JSONL, PARQUET, EXCEL):
    register(_format)
