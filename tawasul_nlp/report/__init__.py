"""The report for officers: one self-contained right-to-left page about a classified table."""

from tawasul_nlp.report.build import ReportSummary, write_report
from tawasul_nlp.report.highlights import ComingBack, Highlights, LargeIncident

__all__ = ["ComingBack", "Highlights", "LargeIncident", "ReportSummary", "write_report"]
