"""Who may see what: signed tokens that name accounts and expire.

Without a secret everything is open, which `server.py` allows on loopback only.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import jwt
from starlette.requests import HTTPConnection

from metrics_pipeline.dashboard.problems import Forbidden, Unauthorized
from metrics_pipeline.errors import BadRequest, ConfigurationError
from metrics_pipeline.planning.request import check_account_id
from metrics_pipeline.settings import Settings

COOKIE = "metrics_token"
_ALGORITHM = "HS256"
_AUDIENCE, _SCRAPER = "metrics-dashboard", "metrics-scraper"
_WORTHLESS = "This token is not valid here. Ask for a new link."
_MOST_DAYS, _MOST_ACCOUNTS = 3660, 50  # so many accounts still fit into a cookie


@dataclass(frozen=True)
class Access:
    """What one request may see. `accounts` None: every account. `expires` None: never."""

    accounts: frozenset[int] | None = None
    expires: datetime | None = None

    def check(self, account_id: int) -> None:
        """Raises Forbidden, whether or not such an account exists."""
        if self.accounts is not None and account_id not in self.accounts:
            raise Forbidden("This token is not for the account asked for. Use a token that names it.")


def issue_token(settings: Settings, account_ids: Collection[int], days: float, now: datetime) -> str:
    """A token to read these accounts for so many days from `now` (aware).

    Raises ConfigurationError without METRICS_DASHBOARD_SECRET, BadRequest for a wrong account or time.
    """
    if not 0 < len(account_ids) <= _MOST_ACCOUNTS:
        raise BadRequest(f"A token is for 1 to {_MOST_ACCOUNTS} accounts, not {len(account_ids)}.")
    accounts = sorted({check_account_id(account_id) for account_id in account_ids})
    return _sign(settings, {"aud": _AUDIENCE, "accounts": accounts}, days, now)


def issue_scrape_token(settings: Settings, days: float, now: datetime) -> str:
    """A token to read /metrics, and nothing of any account. Raises as `issue_token`."""
    return _sign(settings, {"aud": _SCRAPER}, days, now)


def _sign(settings: Settings, claims: dict[str, object], days: float, now: datetime) -> str:
    if settings.dashboard_secret is None:
        raise ConfigurationError(
            "Making a token: METRICS_DASHBOARD_SECRET is not set. Set it to 32 characters or more, for the "
            "dashboard too; `openssl rand -hex 32` makes one."
        )
    if not 0 < days <= _MOST_DAYS:
        raise BadRequest(f"A token lasts more than 0 and up to {_MOST_DAYS} days, not {days}.")
    claims = {**claims, "iat": now, "exp": now + timedelta(days=days)}
    return jwt.encode(claims, settings.dashboard_secret.get_secret_value(), _ALGORITHM)


class Gate:
    """Reads the token of a request."""

    def __init__(self, settings: Settings) -> None:
        secret = settings.dashboard_secret
        self._secret = secret.get_secret_value() if secret else None

    @property
    def open(self) -> bool:
        return self._secret is None

    def access(self, request: HTTPConnection) -> Access:
        """Raises Unauthorized without a valid token in the Authorization header or the cookie."""
        if self._secret is None:
            return Access()
        header = request.headers.get("authorization")
        if header is None:
            return self.verify(request.cookies.get(COOKIE, ""))
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized("The Authorization header is not a bearer token: write `Authorization: Bearer TOKEN`.")
        return self.verify(token.strip())

    def verify(self, token: str) -> Access:
        """What a token allows. Raises Unauthorized when it is missing, altered or past its time."""
        if self._secret is None:
            return Access()
        if not token:
            raise Unauthorized(
                "A token is needed: open the link you were given, or send `Authorization: Bearer TOKEN`."
            )
        claims = self._claims(token, _AUDIENCE, ("exp", "iat", "accounts"))
        try:
            accounts = frozenset(check_account_id(account_id) for account_id in claims["accounts"])
            return Access(accounts, datetime.fromtimestamp(claims["exp"], timezone.utc))
        except (BadRequest, TypeError, ValueError, OverflowError, OSError):
            raise Unauthorized(_WORTHLESS) from None

    def check_scrape(self, request: HTTPConnection) -> None:
        """Raises Unauthorized without a token for /metrics in the Authorization header."""
        if self._secret is None:
            return
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized(
                "Reading /metrics needs `Authorization: Bearer TOKEN`; `metrics-pipeline token --metrics` makes one."
            )
        self._claims(token.strip(), _SCRAPER, ("exp", "iat"))

    def _claims(self, token: str, audience: str, required: Sequence[str]) -> dict[str, Any]:
        try:
            return jwt.decode(token, self._secret, [_ALGORITHM], audience=audience, options={"require": list(required)})
        except jwt.ExpiredSignatureError:
            raise Unauthorized("This token is past its time. Ask for a new link.") from None
        except (jwt.InvalidTokenError, ValueError, OverflowError, TypeError):
            raise Unauthorized(_WORTHLESS) from None
