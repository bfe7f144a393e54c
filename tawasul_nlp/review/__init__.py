"""What officers do with a classified table: compare its routing, review its cases, and correct them."""

from tawasul_nlp.review.routing_comparison import DisagreeingPair, Disagreement, RoutingComparison, compare_routing

__all__ = ["DisagreeingPair", "Disagreement", "RoutingComparison", "compare_routing"]
