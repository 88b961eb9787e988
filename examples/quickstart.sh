#!/bin/sh
# Makes .venv beside the examples' project if needed, installs the project, and runs quickstart.py: on the embedded server, or on
# the RavenDB at EVSESSION_URL if that is set. Works from any directory; a second run installs nothing.
set -eu
cd "$(dirname "$0")/.."

. examples/venv.sh
make_venv
# The marker saves the check by pip when nothing that it reads has changed.
if [ ! -e .venv/.installed ] || [ -n "$(find setup.cfg pyproject.toml -newer .venv/.installed)" ]; then
    echo "installing evsession into .venv" >&2
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded]'
    touch .venv/.installed
fi

exec .venv/bin/python examples/quickstart.py
