"""``python -m stentor`` is ``stentor``."""

from __future__ import annotations

import sys

from stentor.cli import main

sys.exit(main())
