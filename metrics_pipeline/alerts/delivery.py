"""Sending over HTTP: signed, tried again, and over within seconds whatever the receiver does."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential, wait_random

from metrics_pipeline.errors import TransientError

SIGNATURE, TIMESTAMP = "X-Metrics-Signature", "X-Metrics-Timestamp"

_TRIES = 3
_TIMEOUT_SECONDS = 3.0
_WAIT = wait_exponential(multiplier=0.3, max=2) + wait_random(0, 0.3)

# It logs each URL, and these hold secrets.
logging.getLogger("httpx").setLevel(logging.WARNING)


class NotDelivered(TransientError):
    """A receiver did not answer, or not with success. The message names its host and no secret."""


class _TryAgain(Exception):
    """It may go well within seconds."""


def post_signed(url: SecretStr, body: bytes, secret: SecretStr | None, now: datetime) -> None:
    """POST a JSON body. Raises NotDelivered."""
    headers = {"Content-Type": "application/json", "User-Agent": "metrics_pipeline"}
    if secret:
        timestamp = str(int(now.timestamp()))
        headers |= {TIMESTAMP: timestamp, SIGNATURE: signature(secret.get_secret_value(), timestamp, body)}
    _send("POST", url, body, headers)


def ping(url: SecretStr) -> None:
    """GET. Raises NotDelivered."""
    _send("GET", url, None, {"User-Agent": "metrics_pipeline"})


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The header's value for a body sent at a time."""
    return "v1=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _send(method: str, url: SecretStr, body: bytes | None, headers: Mapping[str, str]) -> None:
    address = url.get_secret_value()
    try:
        for attempt in Retrying(stop=stop_after_attempt(_TRIES), wait=_WAIT, retry=retry_if_exception_type(_TryAgain)):
            with attempt:
                _send_once(method, address, body, headers)
    except RetryError as error:
        raise NotDelivered(
            f"{method} to {_where(address)}: {error.last_attempt.exception()} in {_TRIES} tries. It is tried again "
            "every minute; see to the receiver, or correct the URL in the settings."
        ) from error


def _send_once(method: str, address: str, body: bytes | None, headers: Mapping[str, str]) -> None:
    try:
        # The answer's body is not read: nothing in it matters, and it may never end.
        with httpx.stream(method, address, content=body, headers=headers, timeout=_TIMEOUT_SECONDS) as answer:
            code = answer.status_code
    except httpx.TransportError as error:
        raise _TryAgain(f"no answer ({error or type(error).__name__})") from error
    except httpx.InvalidURL:
        raise NotDelivered(f"{method} to {_where(address)}: it is not a URL; correct it in the settings.") from None
    if code >= 500 or code == 429:
        raise _TryAgain(f"answered {code}")
    if not 200 <= code < 300:
        raise NotDelivered(f"{method} to {_where(address)}: answered {code}; correct the URL in the settings.")


def _where(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
