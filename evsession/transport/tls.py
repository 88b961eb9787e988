"""TLS settings: builds the ssl context. Knows files of certificates, opens no connection."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import TypeAlias

from evsession.errors import ConfigurationError

__all__ = ["Certificate", "build_ssl_context"]

FilePath: TypeAlias = "str | os.PathLike[str]"
Certificate: TypeAlias = "FilePath | tuple[FilePath, FilePath]"
"""A PEM file with certificate and key, or the certificate's file and the key's."""


def build_ssl_context(
    given: ssl.SSLContext | None = None, /, *, ca_file: FilePath | None = None, certificate: Certificate | None = None
) -> ssl.SSLContext:
    """Return a context that verifies the server's certificate and name.

    Args:
        given: A context to use in place of a new one; the certificate is loaded into it.
        ca_file: A PEM file of the authorities to trust instead of the system's.
        certificate: Who this client is: a PEM file with certificate and unencrypted key, or a pair of files.

    Raises:
        ConfigurationError: naming the file that is missing, unreadable or not what it should be.
    """
    context = given if given is not None else ssl.create_default_context()
    if ca_file is not None:
        context = _trusting(_readable("ca_file", ca_file))
    if certificate is not None:
        _identify(context, certificate)
    return context


def _trusting(path: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=path)
    except ssl.SSLError as error:
        raise ConfigurationError(f"ca_file {path!r} holds no PEM certificate: {error.reason or error}") from error


def _identify(context: ssl.SSLContext, certificate: Certificate) -> None:
    files = certificate if isinstance(certificate, (tuple, list)) else (certificate,)
    if len(files) not in (1, 2):
        raise ConfigurationError(f"certificate is one PEM file or a pair of files, not {len(files)} of them")
    paths = [_readable("certificate", file) for file in files]
    try:
        # Without a password function OpenSSL would ask on the terminal, in the middle of a program.
        context.load_cert_chain(paths[0], paths[-1], password=_refuse_encrypted)
    except ssl.SSLError as error:
        named = " and ".join(map(repr, paths))
        raise ConfigurationError(f"certificate {named} is not a PEM certificate with its key: {error.reason or error}") from error


def _refuse_encrypted() -> str:
    raise ConfigurationError("the certificate's key is encrypted; decrypt it, or pass an ssl_context that has loaded it")


def _readable(name: str, file: FilePath) -> str:
    try:
        path = os.fspath(file)
        with Path(path).open("rb"):
            return path
    except TypeError as error:
        raise ConfigurationError(f"{name} is the path of a file, not {type(file).__name__}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"{name} {str(file)!r} cannot be read: {reason}") from error
