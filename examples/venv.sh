# Read by quickstart.sh and tests/run.sh, which run at the project's root: makes .venv unless it is there.

PYTHON=${PYTHON:-python3}

# Debian's python3 cannot make environments without python3-venv, and leaves half of one behind that would pass for a whole one.
try_venv() {
    "$PYTHON" -m venv .venv && return
    rm -rf .venv
    return 1
}

make_venv() {
    [ ! -x .venv/bin/python ] || return 0
    command -v "$PYTHON" >/dev/null || {
        echo "there is no $PYTHON; on Debian: apt-get install python3 python3-venv" >&2
        exit 1
    }
    try_venv && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing python3-venv, which $PYTHON lacks" >&2
        apt-get update -qq && apt-get install -qq -y python3-venv >&2 && try_venv && return
    fi
    echo "$PYTHON cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2
    exit 1
}
