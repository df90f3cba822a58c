"""An authority made for one test, and the certificates it signs: for TLS servers, and for clients of those that ask for one."""

from __future__ import annotations

import datetime as dt
import ipaddress
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.servers import Certificates

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]


def make_certificates(folder: Path, names: list[x509.GeneralName] | None = None) -> Certificates:
    """Write an authority, a server's certificate for ``names`` and a client's, with their keys, into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    own = _name("test authority")
    authority = _draft(own, own, key).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    _save(folder / "ca.pem", authority.public_bytes(serialization.Encoding.PEM))
    for name in ("server", "client"):
        its_key = ec.generate_private_key(ec.SECP256R1())
        draft = _draft(_name(name), own, its_key).add_extension(x509.SubjectAlternativeName(NAMES if names is None else names), critical=False)
        _save(folder / f"{name}.pem", draft.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        _save(folder / f"{name}.key", _key_bytes(its_key))
    return Certificates(*(folder / name for name in ("ca.pem", "server.pem", "server.key", "client.pem", "client.key")))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _draft(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key.public_key(), serial_number=x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )


def _key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _save(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
