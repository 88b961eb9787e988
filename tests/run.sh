#!/bin/sh
# Makes .venv, installs the test extra, and runs everything that must pass: formatting, linting, types, layers, tests, coverage.
# Everything about documents runs on the embedded server, and on a real one, too, if EVSESSION_TEST_RAVENDB names one
# (http://127.0.0.1:8080). What is about graphs needs the real server named by EVSESSION_TEST_NEO4J (http://127.0.0.1:7474), and where
# servers are stopped and killed, the program named by EVSESSION_NEO4J_SERVER, which starts one (see tests/graph_conformance/own.py);
# without them those tests are skipped, loudly.
set -eu
cd "$(dirname "$0")/.."

. examples/venv.sh
make_venv
# The marker saves the check by pip when nothing that it reads has changed.
if [ ! -e .venv/.test-extra ] || [ -n "$(find setup.cfg pyproject.toml -newer .venv/.test-extra)" ]; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
    touch .venv/.test-extra
fi
PATH="$PWD/.venv/bin:$PATH"
export PATH

[ $# -eq 0 ] || exec python -m pytest "$@"

ruff format --check .
ruff check .
find evsession examples -name '*.py' -exec flake8-async {} +
# Tests clean up without shields, have fixtures that are async without need, and still run on pytest 8.2.
find tests -name '*.py' -exec flake8-async --disable=ASYNC9,ASYNC102,ASYNC122,ASYNC124,ASYNC401 {} +
mypy
lint-imports
coverage erase
coverage run -m pytest
whole='evsession/wire/*,evsession/raven/*,evsession/neo4j/*,evsession/session/*,evsession/unitofwork/*,evsession/embedded/*'
whole="$whole,evsession/cli/*"
coverage report --include="$whole" --fail-under=100
coverage report --omit="$whole"
if [ -z "${EVSESSION_TEST_RAVENDB:-}" ]; then
    echo "SKIPPED: everything on a real RavenDB, for EVSESSION_TEST_RAVENDB names none" >&2
fi
if [ -z "${EVSESSION_TEST_NEO4J:-}" ]; then
    echo "SKIPPED: everything on a real Neo4j, for EVSESSION_TEST_NEO4J names none" >&2
fi
if [ -z "${EVSESSION_NEO4J_SERVER:-}" ]; then
    echo "SKIPPED: stopping and killing a Neo4j, for EVSESSION_NEO4J_SERVER names no program that starts one" >&2
fi
