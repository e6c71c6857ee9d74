"""``python -m tests.chaos --kills 20``."""

from __future__ import annotations

import sys

from tests.chaos.kills import main

if __name__ == "__main__":
    sys.exit(main())
