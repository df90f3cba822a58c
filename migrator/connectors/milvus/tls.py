"""TLS as the connection test tries it: whether both sides speak it, trust each other's certificates, and what to do when not."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import TYPE_CHECKING

from migrator.errors import ConfigError

if TYPE_CHECKING:
    from migrator.connectors.milvus.options import Settings

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""How HTTP/2 begins (RFC 9113, 3.4), with empty settings: gRPC servers answer it with theirs."""
_WRONG_NAME = (62, 64)
_OUTDATED = (9, 10)
"""X509_V_ERR codes (openssl-verification-options(1))."""


def handshake(settings: Settings) -> str:
    """Return what the handshake came to. Raise ``ssl.SSLError`` or another ``OSError`` when it fails, ``ConfigError`` for unusable files."""
    context = context_for(settings)
    context.set_alpn_protocols(["h2"])
    with socket.create_connection((settings.host, settings.port), timeout=settings.connect_timeout) as plain:
        name = settings.tls.get("server_name") or settings.host
        with context.wrap_socket(plain, server_hostname=name) as connection:
            connection.sendall(_PREFACE)
            with contextlib.suppress(TimeoutError):  # the handshake went well; whether a Milvus answers is for the sign-in to say
                connection.recv(9)  # only here does TLS 1.3 tell that the server wanted another certificate of ours (RFC 8446, 4.4.2.4)
            return f"{connection.version()}, certificate trusted" + (", ours accepted" if "client_pem_path" in settings.tls else "")


def context_for(settings: Settings) -> ssl.SSLContext:
    """Return whom to trust and who we are, as gRPC takes the options. Raise ``ConfigError`` for unusable files."""
    try:
        context = ssl.create_default_context(cafile=settings.tls.get("server_pem_path") or settings.tls.get("ca_pem_path"))
        if "client_pem_path" in settings.tls:
            # with a password that fits nothing: asked for one, OpenSSL would wait at the terminal
            context.load_cert_chain(settings.tls["client_pem_path"], settings.tls["client_key_path"], password="")
    except ssl.SSLError as error:
        message = f"the certificates given cannot be used: {error.reason or error}"
        fix = "give PEM files: a certificate each, and the key that belongs to client_pem_path, without a password"
        raise ConfigError(message, fix=fix, code="bad_certificate") from error
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as gRPC: the server's own certificate is enough, whoever signed it
    return context


def spoken(settings: Settings) -> bool:
    """Return whether the server speaks TLS, whoever it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((settings.host, settings.port), timeout=settings.connect_timeout) as plain, context.wrap_socket(plain):
            return True
    except OSError:
        return False


def explained(error: ssl.SSLError, settings: Settings) -> tuple[str, str]:
    """Return what is wrong and what to do about it."""
    where, reason = settings.address, error.reason or str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _distrust(error, where)
    if "ALERT" in reason and any(word in reason for word in ("CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE")):
        if "client_pem_path" in settings.tls:
            return f"{where} does not accept the client certificate: {reason}", "give one that is signed by an authority the server trusts (its tls.caPemPath)"
        return f"{where} asks for a client certificate (mutual TLS): {reason}", "give client_pem_path= and client_key_path="
    return f"{where} does not speak TLS: {reason}", "write http:// in uri= if the server has no TLS"


def _distrust(error: ssl.SSLCertVerificationError, where: str) -> tuple[str, str]:
    said = f"the certificate of {where} is not trusted: {error.verify_message}"
    if error.verify_code in _WRONG_NAME:
        return said, "write the name that stands in the certificate into uri=, or give it as server_name="
    if error.verify_code in _OUTDATED:
        return said, "renew the server's certificate, or correct the clock of this machine"
    return said, "give ca_pem_path= with the certificate of the authority that signed it; a self-signed one is its own authority"
