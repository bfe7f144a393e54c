"""Classify a table by keyword in a process of its own: ``python -m tests.batch.keyword_run SOURCE OUT [WORKERS]``."""

import sys

from tawasul_nlp.batch import classify_table
from tests.batch.keyword_classifier import KeywordClassifier

CHUNK_ROWS = 25

if __name__ == "__main__":
    source, output, *workers = sys.argv[1:]
    count = int(workers[0]) if workers else 1
    classify_table(KeywordClassifier, source, output, text_column="text", workers=count, chunk_rows=CHUNK_ROWS)
