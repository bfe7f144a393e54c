"""Tables in and out: classify a backlog of any length in bounded memory, group one in memory."""

from tawasul_nlp.batch.columns import ADDED_COLUMNS, GROUP_COLUMNS, added_names
from tawasul_nlp.batch.errors import MissingColumnError, RowsLostError, TableError
from tawasul_nlp.batch.grouping import GroupReport, LargeGroup, group_table
from tawasul_nlp.batch.readers import open_reader
from tawasul_nlp.batch.rows import Chunk, Reader, Reject, Writer
from tawasul_nlp.batch.run import AgencyCount, BatchReport, Step, classify_table
from tawasul_nlp.batch.writers import open_writer

__all__ = [
    "ADDED_COLUMNS",
    "GROUP_COLUMNS",
    "AgencyCount",
    "BatchReport",
    "Chunk",
    "GroupReport",
    "LargeGroup",
    "MissingColumnError",
    "Reader",
    "Reject",
    "RowsLostError",
    "Step",
    "TableError",
    "Writer",
    "added_names",
    "classify_table",
    "group_table",
    "open_reader",
    "open_writer",
]
