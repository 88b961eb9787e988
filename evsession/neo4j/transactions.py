"""How transactions are asked for: their settings, the mode of access, and who logs in. Values, checked when they are made."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from evsession.errors import ConfigurationError, InvalidDocument
from evsession.neo4j.encoding import PLAIN, Encoder

__all__ = ["BasicAuth", "BearerAuth", "TransactionConfig", "auth_header", "check_access", "config_of"]


LONGEST = 2**31 - 1
"""Seconds of a timeout; more is a Bad Request (seen on 5.26 and 2026.07)."""


class TransactionConfig:
    """Settings of one transaction, or of each try of a managed one.

    It does not change once it is made.
    """

    __slots__ = ("_metadata", "_timeout")

    def __init__(self, timeout: float | None = None, metadata: Mapping[str, Any] | None = None) -> None:
        """Check the settings.

        Args:
            timeout: Seconds after which the server ends the transaction; None is the server's own limit. The HTTP API counts
                whole seconds, so it is rounded up, and knows no "never", which Java's driver spells 0. Servers before 2026.04
                ignore it on statements outside of a transaction, so there such a statement gets one, in which ``CALL {...} IN
                TRANSACTIONS`` cannot run.
            metadata: Names and values that the server shows beside the transaction in ``SHOW TRANSACTIONS`` and in its query
                log; for 2026.04 and later.

        Raises:
            ConfigurationError: the timeout is no positive number of seconds, or has more than 31 bits.
            InvalidDocument: the metadata cannot be sent.
        """
        if timeout is not None and not _is_duration(timeout):
            raise ConfigurationError(
                f"a transaction's timeout is a positive number of seconds, at most {LONGEST}, or None, not {timeout!r}"
            )
        if metadata is not None:
            encoder = Encoder()
            encoder.parameters(metadata, "metadata")
            if encoder.level != PLAIN:
                raise InvalidDocument("metadata hold neither vectors nor UUIDs; give str(uuid)")
        self._timeout = timeout
        self._metadata = None if metadata is None else dict(metadata)

    @property
    def timeout(self) -> float | None:
        """Seconds, or None."""
        return self._timeout

    @property
    def metadata(self) -> Mapping[str, Any] | None:
        """A view that cannot be changed, or None."""
        return None if self._metadata is None else MappingProxyType(self._metadata)

    @property
    def is_empty(self) -> bool:
        """Whether it changes nothing."""
        return self._timeout is None and not self._metadata

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TransactionConfig):
            return NotImplemented
        return self._timeout == other._timeout and self._metadata == other._metadata

    def __hash__(self) -> NoReturn:
        raise TypeError("a TransactionConfig has no hash, for metadata are a mapping")

    def __repr__(self) -> str:
        return f"TransactionConfig(timeout={self._timeout!r}, metadata={self._metadata!r})"


_EMPTY = TransactionConfig()


def config_of(config: Any, timeout: float | None = None, metadata: Mapping[str, Any] | None = None) -> TransactionConfig:
    """Return the settings that a call gives as a config or as keywords.

    Raises:
        TypeError: it gives both, or a config that is none.
    """
    if config is None:
        return _EMPTY if timeout is None and metadata is None else TransactionConfig(timeout, metadata)
    if not isinstance(config, TransactionConfig):
        raise TypeError(f"the config of a transaction is a TransactionConfig, not {config!r}")
    if timeout is not None or metadata is not None:
        raise TypeError("give a TransactionConfig, or timeout and metadata, not both")
    return config


def check_access(mode: object) -> str:
    """Return the mode of access as the server spells it.

    Raises:
        ConfigurationError: it is neither read nor write.
    """
    if not isinstance(mode, str) or mode.upper() not in ("READ", "WRITE"):
        raise ConfigurationError(f"access_mode is 'read' or 'write', not {mode!r}")
    return mode.upper()


class BasicAuth:
    """A user and a password; a pair of them does as well. Its repr shows the user only."""

    __slots__ = ("_password", "user")

    def __init__(self, user: str, password: str) -> None:
        """Check them.

        Raises:
            ConfigurationError: one is no text, or there is a colon in the user's name, which HTTP cannot carry.
        """
        for text in (user, password):
            _check_text(text, "auth is a pair of texts, the user's name and the password")
        if ":" in user:
            raise ConfigurationError("the name of a user who logs in by HTTP has no colon")
        self.user = user
        self._password = password

    def header(self) -> str:
        """Return what goes into the request."""
        return "Basic " + b64encode(f"{self.user}:{self._password}".encode()).decode()

    def __repr__(self) -> str:
        return f"BasicAuth({self.user!r}, '***')"


class BearerAuth:
    """A token of single sign-on, for servers that are set up for it. Its repr does not show it."""

    __slots__ = ("_token",)

    def __init__(self, token: str) -> None:
        """Check it.

        Raises:
            ConfigurationError: it is no text.
        """
        _check_text(token, "a bearer token is a text")
        self._token = token

    def header(self) -> str:
        """Return what goes into the request; Neo4j wants the token in base64."""
        return "Bearer " + b64encode(self._token.encode()).decode()

    def __repr__(self) -> str:
        return "BearerAuth('***')"


def _is_duration(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= LONGEST


def _check_text(value: object, otherwise: str) -> None:
    # The value is a secret, so no message shows it.
    if not isinstance(value, str) or not value:
        raise ConfigurationError(otherwise)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"{otherwise}, without half surrogate pairs") from None


def auth_header(auth: object) -> tuple[tuple[str, str], ...]:
    """Return the header that logs in, if there is one.

    Raises:
        ConfigurationError: it is no way to log in; what was given is not shown.
    """
    if auth is None:
        return ()
    if isinstance(auth, (tuple, list)) and len(auth) == 2:
        auth = BasicAuth(*auth)
    if not isinstance(auth, (BasicAuth, BearerAuth)):
        raise ConfigurationError("auth is (user, password), a BasicAuth, a BearerAuth or None")
    return (("Authorization", auth.header()),)
