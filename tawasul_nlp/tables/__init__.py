"""Tables in and out: classify a backlog of any length in bounded memory, group one in memory."""

from tawasul_nlp.tables.classified import ClassifiedCase, ClassifiedTable, open_classified
from tawasul_nlp.tables.io.formats import ReadOptions, WriteOptions
from tawasul_nlp.tables.run.classify import BatchReport, classify_table
from tawasul_nlp.tables.run.group import GroupReport, group_table

__all__ = [
    "BatchReport",
    "ClassifiedCase",
    "ClassifiedTable",
    "GroupReport",
    "ReadOptions",
    "WriteOptions",
    "classify_table",
    "group_table",
    "open_classified",
]
