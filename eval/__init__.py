"""What is measured and how: each module writes its table to ``eval/results``."""

from tawasul_nlp.extras import require

require("eval", "measuring", "torch", "transformers", "sklearn", "scipy", "camel_tools", "datasketch", "semhash")
