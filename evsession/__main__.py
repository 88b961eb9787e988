"""``python -m evsession``."""

import sys

from evsession.cli import main

if __name__ == "__main__":
    sys.exit(main())
