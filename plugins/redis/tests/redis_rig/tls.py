"""Certificates for the tests: an authority, a server's, a client's; all made on the spot."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme

from redis_rig.servers import HOST


class Authority:
    """An authority that nobody trusts who does not have its certificate.

    Args:
        folder: Where to write `ca.pem`, and `client.pem` with certificate and key in one.
        name: Whom the server's certificate is made out to.
    """

    def __init__(self, folder: Path, name: str = HOST) -> None:
        self.authority = trustme.CA()
        self.issued = self.authority.issue_cert(name)
        self.certificate = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(str(self.certificate))
        self.client = folder / "client.pem"
        self.authority.issue_cert(
            "client@example.com"
        ).private_key_and_cert_chain_pem.write_to_path(str(self.client))

    def server_side(self, *, ask_client: bool = False) -> ssl.SSLContext:
        """Return what a server speaks TLS with; with `ask_client` it wants a certificate, too."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.issued.configure_cert(context)
        if ask_client:
            context.verify_mode = ssl.CERT_REQUIRED
            self.authority.configure_trust(context)
        return context
