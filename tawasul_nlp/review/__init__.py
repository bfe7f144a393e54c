"""What officers do with a classified table: compare its routing, review its cases, and correct them."""

from tawasul_nlp.review.choose import ReviewPlan, ReviewReport, write_review
from tawasul_nlp.review.corrections import CorrectionReport, apply_corrections
from tawasul_nlp.review.routing_comparison import RoutingComparison, compare_routing

__all__ = [
    "CorrectionReport",
    "ReviewPlan",
    "ReviewReport",
    "RoutingComparison",
    "apply_corrections",
    "compare_routing",
    "write_review",
]
