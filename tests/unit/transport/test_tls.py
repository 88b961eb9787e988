"""Files of certificates that are not what they should be."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from evsession.errors import ConfigurationError
from evsession.transport import build_ssl_context


def test_the_default_verifies() -> None:
    context = build_ssl_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_ca_file_replaces_the_systems_authorities(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    context = build_ssl_context(ca_file=str(path))
    assert len(context.get_ca_certs()) == 1
    assert context.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("name", ["ca_file", "certificate"])
@pytest.mark.parametrize("path", ["missing.pem", "no\0path"])
def test_missing_files_are_named(name: str, path: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} '.*{path[:2]}.* cannot be read") as caught:
        build_ssl_context(**{name: path})
    assert caught.value.__cause__ is not None


def test_a_directory_is_no_certificate(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Is a directory"):
        build_ssl_context(certificate=tmp_path)


@pytest.mark.parametrize("name", ["ca_file", "certificate"])
def test_other_files_are_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no certificate")
    with pytest.raises(ConfigurationError, match=r"notes\.txt.*PEM certificate"):
        build_ssl_context(**{name: path})


def test_other_types_and_numbers_of_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ca_file is the path of a file, not int"):
        build_ssl_context(ca_file=3)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="not 3 of them"):
        build_ssl_context(certificate=("a", "b", "c"))  # type: ignore[arg-type]


def test_a_certificate_without_its_key(tmp_path: Path) -> None:
    path = tmp_path / "cert.pem"
    trustme.CA().issue_cert("a.example").cert_chain_pems[0].write_to_path(str(path))
    with pytest.raises(ConfigurationError, match=r"cert\.pem' is not a PEM certificate with its key"):
        build_ssl_context(certificate=path)


def test_an_encrypted_key_asks_nobody_on_the_terminal(tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert("a.example")
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"secret")
    locked = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    path = tmp_path / "locked.pem"
    path.write_bytes(issued.cert_chain_pems[0].bytes() + locked)
    with pytest.raises(ConfigurationError, match="encrypted"):
        build_ssl_context(certificate=path)
