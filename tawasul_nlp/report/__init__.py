"""The report for officers: one self-contained right-to-left page about a classified table."""

from tawasul_nlp.report.build import ReportSummary, write_report

__all__ = ["ReportSummary", "write_report"]
