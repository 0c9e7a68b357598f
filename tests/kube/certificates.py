"""A CA of our own, and what it signed."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Authority:
    """A CA in its directory."""

    directory: Path

    @property
    def certificate(self) -> Path:
        return self.directory / "ca.crt"

    def sign(self, name: str, alternative: str = "IP:127.0.0.1") -> Pair:
        """Make a certificate with this common name and subject alternative name."""
        pair = Pair(self.directory / f"{name}.crt", self.directory / f"{name}.key")
        extension = self.directory / f"{name}.ext"
        extension.write_text(f"subjectAltName={alternative}")
        request = _openssl("req", "-new", *_key(pair.key), "-subj", f"/CN={name}")
        authority = ("-CA", str(self.certificate), "-CAkey", str(self.directory / "ca.key"), "-CAcreateserial")
        out = ("-out", str(pair.certificate), "-extfile", str(extension), "-days", "1")
        _openssl("x509", "-req", *authority, *out, stdin=request)
        return pair

    def server(self, pair: Pair, *, mutual: bool = False) -> ssl.SSLContext:
        """Make a server's context; `mutual` demands a client certificate of this CA."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.certificate))
        context.load_cert_chain(pair.certificate, pair.key)
        context.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_OPTIONAL
        return context


def authority(directory: Path) -> Authority:
    """Make a CA in a directory."""
    made = Authority(directory)
    key = _key(directory / "ca.key")
    _openssl("req", "-x509", *key, "-subj", "/CN=ca", "-days", "1", "-out", str(made.certificate))
    return made


def _key(path: Path) -> tuple[str, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(path))


def _openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=stdin, check=True, capture_output=True).stdout
