"""The report for officers: one self-contained right-to-left page about a classified table."""

from tawasul_nlp.report.build import ComingBack, Highlights, LargeIncident, ReportSummary, write_report

__all__ = ["ComingBack", "Highlights", "LargeIncident", "ReportSummary", "write_report"]
