"""What officers do with a classified table: review its cases, and correct them."""

from tawasul_nlp.review.choose import ReviewPlan, ReviewReport, write_review
from tawasul_nlp.review.corrections import CorrectionReport, apply_corrections

__all__ = [
    "CorrectionReport",
    "ReviewPlan",
    "ReviewReport",
    "apply_corrections",
    "write_review",
]
