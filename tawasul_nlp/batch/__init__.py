"""Tables in and out: classify a backlog of any length in bounded memory, group one in memory."""

from tawasul_nlp.batch.columns import ADDED_COLUMNS, GROUP_COLUMNS, added_names, classification_columns
from tawasul_nlp.batch.engines import open_engine, threads_each
from tawasul_nlp.batch.errors import (
    InputChangedError,
    MissingColumnError,
    OversizedTableError,
    RowsLostError,
    TableError,
    WorkerDiedError,
)
from tawasul_nlp.batch.grouping import GroupReport, LargeGroup, group_table
from tawasul_nlp.batch.readers import open_reader
from tawasul_nlp.batch.rows import Chunk, Reader, Reject, Writer
from tawasul_nlp.batch.run import BatchReport, classify_table
from tawasul_nlp.batch.tally import LabelCount
from tawasul_nlp.batch.work import Step
from tawasul_nlp.batch.writers import Layout, open_writer

__all__ = [
    "ADDED_COLUMNS",
    "GROUP_COLUMNS",
    "BatchReport",
    "Chunk",
    "GroupReport",
    "InputChangedError",
    "LabelCount",
    "LargeGroup",
    "Layout",
    "MissingColumnError",
    "OversizedTableError",
    "Reader",
    "Reject",
    "RowsLostError",
    "Step",
    "TableError",
    "WorkerDiedError",
    "Writer",
    "added_names",
    "classification_columns",
    "classify_table",
    "group_table",
    "open_engine",
    "open_reader",
    "open_writer",
    "threads_each",
]
