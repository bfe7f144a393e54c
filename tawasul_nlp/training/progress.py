"""What a training tells of its progress."""

from __future__ import annotations

import logging

logger = logging.getLogger("tawasul_nlp.training")
"""Silent until the program listens, to this name or to ``tawasul_nlp``."""
