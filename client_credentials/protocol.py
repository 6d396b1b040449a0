"""What is said to a token server, and what its answer means (RFC 6749: 2.3.1, 4.4, 5.1, 5.2). Pure."""

import json
import re
from typing import NamedTuple
from urllib.parse import quote_plus

ANSWER_BYTES_MAX = 64 * 1024

EARLY_S = 60.0
"""How long before its end a token is renewed; one of a short life after four fifths of it."""

UNTOLD_S = 60.0
"""How long a token is kept whose server does not say how long it is valid."""

HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}
"""Not compressed: what comes in is then as large as it looks."""

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_ERROR = re.compile(r"[a-z_]{1,40}")


class Held(NamedTuple):
    """A token, and for how many seconds since it was asked for it is to be used, and may be."""

    value: str
    renew_after_s: float
    ends_after_s: float


def form(scope: str | None) -> dict[str, str]:
    """Return the body of the request, to be sent as a form."""
    return {"grant_type": "client_credentials"} | ({} if scope is None else {"scope": scope})


def login(client_id: str, client_secret: str) -> tuple[str, str]:
    """Return name and password for Basic. Both are encoded before they are joined by a colon: RFC 6749, 2.3.1."""
    return quote_plus(client_id), quote_plus(client_secret)


def held(answer: bytes) -> Held:
    """Return the token in a token server's answer. Raises `ValueError`, which never repeats it."""
    try:
        told = json.loads(answer)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(told, dict) or str(told.get("token_type", "")).lower() != "bearer":
        raise ValueError("it holds no token of the type Bearer")
    value = told.get("access_token")
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise ValueError("its access_token is none")
    try:
        # Some servers write the number as text.
        life_s = float(told.get("expires_in", UNTOLD_S))
    except (TypeError, ValueError, OverflowError):
        raise ValueError("its expires_in is no number") from None
    if not life_s > 0:
        raise ValueError("its token has ended already")
    return Held(value, life_s - min(EARLY_S, life_s / 5), life_s)


def error_name(answer: bytes) -> str | None:
    """Return the server's name for what is wrong, such as `invalid_client`; None where it gives none."""
    try:
        name = json.loads(answer)["error"]
    except (ValueError, RecursionError, TypeError, KeyError):
        return None
    return name if isinstance(name, str) and _ERROR.fullmatch(name) else None
