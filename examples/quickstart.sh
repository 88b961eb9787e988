#!/bin/sh
# Makes .venv beside the examples' project if needed, installs the project, and runs quickstart.py against the RavenDB at
# EVSESSION_URL (http://127.0.0.1:8080). Works from any directory; a second run installs nothing.
set -eu
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
if [ ! -x .venv/bin/python ]; then
    command -v "$PYTHON" >/dev/null || {
        echo "there is no $PYTHON; on Debian: apt-get install python3 python3-venv" >&2
        exit 1
    }
    "$PYTHON" -m venv .venv || {
        # What venv leaves behind when it lacks pip would pass for a whole one in the next run.
        rm -rf .venv
        echo "$PYTHON cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2
        exit 1
    }
fi
# The marker saves the check by pip when nothing that it reads has changed.
if [ ! -e .venv/.installed ] || [ -n "$(find setup.cfg pyproject.toml -newer .venv/.installed)" ]; then
    echo "installing evsession into .venv" >&2
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable .
    touch .venv/.installed
fi

EVSESSION_URL=${EVSESSION_URL:-http://127.0.0.1:8080}
export EVSESSION_URL
exec .venv/bin/python examples/quickstart.py
