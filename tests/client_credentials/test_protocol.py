"""What a token server answers is looked at before it is believed."""

import json
from typing import Any

import pytest

from client_credentials.protocol import UNTOLD_S, Held, error_name, held, login

GOOD: dict[str, Any] = {"access_token": "eyJhbGciOi.J9-_~+/==", "token_type": "bearer", "expires_in": 3600}


def answer(**changed: Any) -> bytes:
    return json.dumps({name: value for name, value in (GOOD | changed).items() if value is not None}).encode()


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (answer(), Held(GOOD["access_token"], 3540, 3600)),
        (answer(expires_in="300", token_type="Bearer"), Held(GOOD["access_token"], 240, 300)),
        (answer(expires_in=10), Held(GOOD["access_token"], 8, 10)),
        (answer(expires_in=None), Held(GOOD["access_token"], UNTOLD_S * 4 / 5, UNTOLD_S)),
    ],
)
def test_a_token_is_kept_until_shortly_before_its_end(told: bytes, expected: Held) -> None:
    """A minute before, or a fifth of a short life."""
    assert held(told) == expected


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"<html>Log ind</html>",
        b"[" * 60_000,
        b"\xff",
        b"[]",
        answer(token_type="mac"),
        answer(token_type=None),
        answer(access_token=None),
        answer(access_token=7),
        answer(access_token="a\x01auth=Bearer b"),
        answer(access_token="a\n"),
        answer(expires_in=0),
        answer(expires_in=-1),
        answer(expires_in="soon"),
        answer(expires_in=[1]),
        answer(expires_in=float("nan")),
        answer(expires_in=10**400),
    ],
)
def test_an_answer_without_a_token_is_refused_and_not_repeated(told: bytes) -> None:
    """What a server sends may be anything, and some of it could be a secret."""
    with pytest.raises(ValueError, match=r"^it") as refused:
        held(told)
    assert "Bearer b" not in str(refused.value)


def test_a_secret_with_signs_is_encoded_before_it_is_joined() -> None:
    """Else its colon would end the name."""
    assert login("a:b", "hemmeligt æ+%") == ("a%3Ab", "hemmeligt+%C3%A6%2B%25")


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (b'{"error": "invalid_client"}', "invalid_client"),
        (b'{"error": "Bearer b\\n"}', None), (b'{"error": 7}', None), (b"[]", None), (b"", None), (b"[" * 60_000, None),
    ],
)  # fmt: skip
def test_only_a_name_of_an_error_is_repeated(answer: bytes, name: str | None) -> None:
    """What else the answer says could be anything."""
    assert error_name(answer) == name
