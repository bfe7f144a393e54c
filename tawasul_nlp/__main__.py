"""``python -m tawasul_nlp`` is the command ``tawasul``."""

import sys

from tawasul_nlp.cli import main

sys.exit(main())
