"""Where a transaction on a graph is, and how what comes too late for that is refused. Sends nothing."""

from __future__ import annotations

import enum

from evsession.errors import TransactionError

__all__ = ["Phase", "refusal"]


class Phase(enum.Enum):
    """ACTIVE -> COMMITTED | ROLLED_BACK | TERMINATED | UNKNOWN, and TERMINATED -> ROLLED_BACK | UNKNOWN."""

    ACTIVE = "open"
    COMMITTED = "been committed"
    ROLLED_BACK = "been rolled back"
    TERMINATED = "been rolled back because of an error or a reset"
    UNKNOWN = "ended with a commit whose outcome is unknown"


_REFUSALS = {
    "run": "Cannot run more queries in this transaction, it has {}",
    "commit": "Can't commit, transaction has {}",
    "rollback": "Can't rollback, transaction has {}",
}


def refusal(verb: str, phase: Phase, *, is_asked: bool) -> TransactionError:
    """Return what is said of a verb that cannot be done any more; the words are those of Neo4j's drivers.

    Args:
        verb: What was to be done.
        phase: Where the transaction is, or was asked to be.
        is_asked: Whether that was only asked for.
    """
    if phase is Phase.TERMINATED and verb == "commit":
        return TransactionError(
            "Transaction can't be committed. It has been rolled back either because of an error or explicit termination"
        )
    state = phase.value.replace("been ", "been requested to be ") if is_asked else phase.value
    return TransactionError(_REFUSALS[verb].format(state), uncertain=phase is Phase.UNKNOWN)
