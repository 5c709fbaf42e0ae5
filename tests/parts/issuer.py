"""An identity provider as the world has them: private keys of its own, and an HTTP server that has the public ones."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.parts.waiting import PATIENCE_SECONDS

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def ec_key(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve or ec.SECP256R1())


def public(key: PrivateKey, kid: str | None, **more: str) -> dict[str, Any]:
    """Return the public half of a key as a JSON Web Key."""
    if isinstance(key, rsa.RSAPrivateKey):
        entry = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        entry = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    entry.pop("key_ops", None)
    return {**entry, **({} if kid is None else {"kid": kid}), **more}


class Issuer:
    """Signs tokens, and publishes the keys for them; ``answer`` replaces what is published."""

    def __init__(self) -> None:
        self.keys: dict[str, PrivateKey] = {"r": rsa_key(), "e": ec_key()}
        self.answer: tuple[int, bytes, dict[str, str]] | None = None
        self.requests = 0
        self.open = Event()
        """Cleared, the server lets whoever asks wait."""
        self.open.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/keys"

    def publish(self, *entries: object) -> None:
        """Publish these entries instead of the issuer's own keys."""
        self.answer = (200, json.dumps({"keys": entries}).encode(), {})

    def sign(self, user: str | None = "alice", kid: str = "r", *, name_key: bool = True, **claims: Any) -> str:
        """Return a token, by default one that is valid for a minute."""
        key = self.keys[kid]
        algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
        said = {"sub": user, "exp": int(time.time()) + 60, **claims}
        headers = {"kid": kid} if name_key else None
        return jwt.encode({k: v for k, v in said.items() if v is not None}, key, algorithm, headers)

    def close(self) -> None:
        """Publish no more; nobody listens at the address from now on."""
        self.open.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the library's name
                issuer.requests += 1
                issuer.open.wait(PATIENCE_SECONDS)
                own = json.dumps({"keys": [public(key, kid) for kid, key in issuer.keys.items()]}).encode()
                status, body, headers = issuer.answer or (200, own, {})
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: object) -> None:
                """Say nothing."""

        return Handler
