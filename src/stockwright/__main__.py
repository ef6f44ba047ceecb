"""`python -m stockwright` is the command `stockwright`."""

import sys

from stockwright.cli import main

sys.exit(main())
