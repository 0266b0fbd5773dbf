"""How much longer than on a computer with nothing else to do a test waits. scripts/test sets it where lanes share the cores."""

import os
from typing import Final

PATIENCE: Final = float(os.environ.get("PATIENCE", "1"))
