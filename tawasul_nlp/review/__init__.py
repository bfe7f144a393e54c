"""What officers do with a classified table: compare its routing, review its cases, and correct them."""

from tawasul_nlp.review.choose import ReviewPlan, ReviewReport, write_review
from tawasul_nlp.review.corrections import CorrectionReport, apply_corrections
from tawasul_nlp.review.routing_comparison import Disagreement, RoutingComparison, compare_routing
from tawasul_nlp.tables.run.outputs import WrittenTable

__all__ = [
    "CorrectionReport",
    "Disagreement",
    "ReviewPlan",
    "ReviewReport",
    "WrittenTable",
    "RoutingComparison",
    "apply_corrections",
    "compare_routing",
    "write_review",
]
