"""Signatures of what Intercom sends us, over the raw body and compared in constant time."""

import hmac
from hashlib import sha1


def is_signed(body: bytes, header: str | None, secret: str) -> bool:
    """Whether `X-Hub-Signature` is the body's: `sha1=` and HMAC-SHA1 in hex (Intercom: Webhook security)."""
    expected = "sha1=" + hmac.new(secret.encode(), body, sha1).hexdigest()
    return hmac.compare_digest(expected.encode(), (header or "").encode())
