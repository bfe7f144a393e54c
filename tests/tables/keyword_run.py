"""Classify a table by keyword in a process that is to be killed: ``... keyword_run SOURCE OUT ROW``.

It never gets beyond the row, however late the kill comes.
"""

import sys
from functools import partial

from tawasul_nlp.tables import classify_table
from tests.tables.keyword_classifier import NeverBeyond

CHUNK_ROWS = 25

if __name__ == "__main__":
    source, output, row = sys.argv[1:]
    load = partial(NeverBeyond, int(row))
    classify_table(load, source, output, text_column="text", chunk_rows=CHUNK_ROWS)
