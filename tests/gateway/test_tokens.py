"""Tokens: whose they are, and what does not count."""

import base64
import hmac
import json
from hashlib import sha256
from pathlib import Path

import pytest

from exchange_gateway.clock import HandTurnedClock
from exchange_gateway.core.access import Role
from exchange_gateway.keys import InstanceKeys, KeysUnusable, load_keys, load_or_make_keys, make_keys
from exchange_gateway.tokens import ISSUER, InvalidToken, OwnKey, TokenChecker, principal_of, sign_token
from schemas.identifiers import InvalidIdentifier

NOW_S = 1_795_000_000


@pytest.fixture(scope="module")
def keys() -> InstanceKeys:
    return make_keys()


@pytest.fixture
def clock() -> HandTurnedClock:
    return HandTurnedClock(NOW_S * 1_000_000)


@pytest.fixture
def checker(keys: InstanceKeys, clock: HandTurnedClock) -> TokenChecker:
    return TokenChecker(OwnKey(keys.signing), issuer=ISSUER, audience="kommunebro", clock=clock)


def sign(keys: InstanceKeys, **changes: object) -> str:
    options: dict[str, object] = {
        "participant": "0671", "roles": [Role.PUBLISHER], "audience": "kommunebro", "ttl_s": 60, "now_s": NOW_S,
    }  # fmt: skip
    return sign_token(keys.signing, **{**options, **changes})  # type: ignore[arg-type]


async def test_a_signed_token_speaks_for_its_participant(keys: InstanceKeys, checker: TokenChecker) -> None:
    """A token names its participant, its roles, those it represents, and its client."""
    principal = await checker.check(sign(keys, represents=["0665"], client="opera-1", roles=[Role.READER]))
    assert principal.participants == {"0671", "0665"}
    assert principal.roles == {Role.READER}
    assert principal.client_id == "opera-1"


async def test_an_expired_token_does_not_count_even_when_it_was_remembered(
    keys: InstanceKeys, checker: TokenChecker, clock: HandTurnedClock
) -> None:
    """A token that was checked before ends at its expiry all the same."""
    token = sign(keys)
    await checker.check(token)
    clock.us += 60 * 1_000_000
    with pytest.raises(InvalidToken, match="expired"):
        await checker.check(token)


@pytest.mark.parametrize("changes", [{"audience": "another"}, {"ttl_s": -1}])
async def test_another_audience_or_a_past_expiry_is_refused(
    keys: InstanceKeys, checker: TokenChecker, changes: dict[str, object]
) -> None:
    """Only tokens for us, and not expired, count."""
    with pytest.raises(InvalidToken):
        await checker.check(sign(keys, **changes))


async def test_another_instances_token_is_refused(checker: TokenChecker) -> None:
    """A good token of another instance is no token here."""
    with pytest.raises(InvalidToken):
        await checker.check(sign(make_keys()))


@pytest.mark.parametrize("shown", ["abc", "", "a.b", "a.b.c.d"])
async def test_what_is_no_token_at_all_is_told_as_that(checker: TokenChecker, shown: str) -> None:
    """Cut off when it was copied, most often; it is not repeated."""
    with pytest.raises(InvalidToken, match="Is it whole"):
        await checker.check(shown)


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def test_the_algorithm_never_comes_from_the_header(keys: InstanceKeys, checker: TokenChecker) -> None:
    """Neither `none` nor a shared-secret signature made with the public key counts (RFC 8725, 2.1)."""
    _, claims, _ = sign(keys).split(".")
    public = keys.signing.as_bytes(private=False)
    unsigned = f"{part({'alg': 'none', 'kid': keys.signing.kid})}.{claims}."
    signed = f"{part({'alg': 'HS256', 'kid': keys.signing.kid})}.{claims}"
    forged = base64.urlsafe_b64encode(hmac.digest(public, signed.encode(), sha256)).rstrip(b"=").decode()
    for token in (unsigned, f"{signed}.{forged}"):
        with pytest.raises(InvalidToken):
            await checker.check(token)


@pytest.mark.parametrize("token", ["", ".", "a.b.c", "æ", "x" * 10_000, "e30.e30.e30"])
async def test_what_is_no_token_is_refused(checker: TokenChecker, token: str) -> None:
    """Whatever text comes, the answer is that it does not count."""
    with pytest.raises(InvalidToken):
        await checker.check(token)


@pytest.mark.parametrize("participant", ["kommunebro", "67", "Struer", "0671; drop"])
def test_no_token_is_signed_for_whom_cannot_be(keys: InstanceKeys, participant: str) -> None:
    """A participant that cannot be one, and Kommunebro itself, get no token."""
    with pytest.raises(InvalidIdentifier):
        sign(keys, participant=participant)


def test_a_foreign_subject_is_hashed() -> None:
    """An external issuer's `sub` may be a person's name, so the log gets a hash of it."""
    principal = principal_of({"iss": "https://idp.example", "sub": "jens.ove", "participant": "0671", "roles": []})
    assert principal.client_id.startswith("sub-")
    assert "jens" not in principal.client_id


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"participant": 671},
        {"participant": "0671", "roles": "publisher"},
        {"participant": "0671", "represents": [1]},
    ],
)
def test_claims_of_a_wrong_shape_are_refused(claims: dict[str, object]) -> None:
    """A signature does not make claims right."""
    with pytest.raises(InvalidToken):
        principal_of(claims)


def test_keys_are_made_once_and_readable_by_their_owner_only(tmp_path: Path) -> None:
    """The second start finds the first one's secrets, and nobody else can read them."""
    path = tmp_path / "instance.keys"
    first, new = load_or_make_keys(path)
    second, again = load_or_make_keys(path)
    assert (new, again) == (True, False)
    assert first.fingerprint == second.fingerprint
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"", b"{}", b'{"format":2}', b'{"format":1,"signing":{},"digest":"x"}', b"\xff"])
def test_damaged_keys_say_what_to_do(tmp_path: Path, content: bytes) -> None:
    """A damaged file is never replaced by new secrets, since that would void every token."""
    path = tmp_path / "instance.keys"
    path.write_bytes(content)
    with pytest.raises(KeysUnusable, match=r"instance\.keys"):
        load_or_make_keys(path)
    assert path.read_bytes() == content


def test_missing_keys_say_how_they_come_about(tmp_path: Path) -> None:
    """`token` before the first `serve` explains itself."""
    with pytest.raises(KeysUnusable, match="kommunebro serve"):
        load_keys(tmp_path / "instance.keys")
