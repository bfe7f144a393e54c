"""Tables in and out: classify a backlog of any length in bounded memory, group one in memory."""

from tawasul_nlp.tables.added_columns import ADDED_COLUMNS, GROUP_COLUMNS, added_names, classification_columns
from tawasul_nlp.tables.classified import ClassifiedTable, open_classified
from tawasul_nlp.tables.errors import (
    InputChangedError,
    MissingColumnError,
    OversizedTableError,
    RowsLostError,
    TableError,
    WorkerDiedError,
)
from tawasul_nlp.tables.io.formats import ReadOptions, WriteOptions
from tawasul_nlp.tables.io.write import INCIDENT_COLUMNS, export_incidents
from tawasul_nlp.tables.labelled import LabelledRow, LabelledSource, LabelledTable, open_labelled
from tawasul_nlp.tables.run.classify import BatchReport, classify_table
from tawasul_nlp.tables.run.group import GroupReport, LargeGroup, group_table
from tawasul_nlp.tables.run.pipeline import LabelCount, LocalEngine, Step

__all__ = [
    "ADDED_COLUMNS",
    "GROUP_COLUMNS",
    "INCIDENT_COLUMNS",
    "BatchReport",
    "ClassifiedTable",
    "GroupReport",
    "InputChangedError",
    "LabelCount",
    "LabelledRow",
    "LabelledSource",
    "LabelledTable",
    "LargeGroup",
    "LocalEngine",
    "MissingColumnError",
    "OversizedTableError",
    "ReadOptions",
    "RowsLostError",
    "Step",
    "TableError",
    "WorkerDiedError",
    "WriteOptions",
    "added_names",
    "classification_columns",
    "classify_table",
    "export_incidents",
    "group_table",
    "open_classified",
    "open_labelled",
]
