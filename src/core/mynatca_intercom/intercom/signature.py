"""Signatures of what Intercom sends us, over the raw body and compared in constant time."""

import hmac
from hashlib import sha1, sha256


def is_signed(body: bytes, header: str | None, secret: str) -> bool:
    """Whether `X-Hub-Signature` is the notification's: `sha1=` and HMAC-SHA1 in hex (Intercom: Webhook security)."""
    return _is("sha1=" + hmac.new(secret.encode(), body, sha1).hexdigest(), header)


def is_signed_canvas(body: bytes, header: str | None, secret: str) -> bool:
    """Whether `X-Body-Signature` is the canvas request's: HMAC-SHA256 in hex, and nothing before it (Canvas Kit)."""
    return _is(hmac.new(secret.encode(), body, sha256).hexdigest(), header)


def _is(expected: str, header: str | None) -> bool:
    # Bytes that are no UTF-8 reach us as lone surrogates.
    return hmac.compare_digest(expected.encode(), (header or "").encode(errors="surrogateescape"))
