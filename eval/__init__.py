"""What is measured and how: each module writes its table to ``eval/results``."""
