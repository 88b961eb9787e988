"""``python -m evsession``."""

from evsession.cli import main

if __name__ == "__main__":
    main()
