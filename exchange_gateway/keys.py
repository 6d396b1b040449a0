"""The instance's secrets: the key that signs tokens, and the key of the digests. Made once, at first start."""

import hashlib
import os
import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

FILE_NAME = "instance.keys"
FORMAT = 1


class KeysUnusable(Exception):
    """The secrets cannot be had; the text says what to do."""


@dataclass(frozen=True, slots=True)
class InstanceKeys:
    """signing: Ed25519, for tokens. digest: 32 bytes, for content digests, never shown to anybody."""

    signing: OKPKey
    digest: bytes

    @property
    def fingerprint(self) -> str:
        """Name the set of secrets without telling them: gateways of one instance have the same."""
        public = orjson.dumps(self.signing.as_dict(private=False), option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(public + hashlib.sha256(b"kommunebro digest key" + self.digest).digest()).hexdigest()[:32]


def make_keys() -> InstanceKeys:
    """Make new secrets."""
    return InstanceKeys(OKPKey.generate_key("Ed25519", {"use": "sig"}, auto_kid=True), secrets.token_bytes(32))


def load_keys(path: Path) -> InstanceKeys:
    """Read the secrets. Raises `KeysUnusable`."""
    try:
        stored: Any = orjson.loads(path.read_bytes())
        if stored["format"] != FORMAT:
            raise KeysUnusable(f"{path} has format {stored['format']}; this version reads format {FORMAT}.")
        return InstanceKeys(OKPKey.import_key(stored["signing"]), b64decode(stored["digest"], validate=True))
    except FileNotFoundError:
        raise KeysUnusable(
            f"There is no {path}. `kommunebro serve` makes the instance's keys at its first start; "
            "start it once with this data folder, or name the folder with --data."
        ) from None
    except OSError as error:
        raise KeysUnusable(f"{path} cannot be read: {error.strerror}.") from None
    except (JoseError, KeyError, TypeError, ValueError) as error:
        raise KeysUnusable(
            f"{path} is damaged; put back the copy that you keep of it. ({type(error).__name__})"
        ) from None


def load_or_make_keys(path: Path) -> tuple[InstanceKeys, bool]:
    """Read the secrets, or make them at first start; the second value says whether they are new.

    Two processes that start at once agree: the file appears whole or not at all, and the first one counts.
    """
    if not path.exists():
        keys = make_keys()
        stored = {
            "format": FORMAT,
            "signing": keys.signing.as_dict(private=True),
            "digest": b64encode(keys.digest).decode(),
        }
        if _write_once(path, orjson.dumps(stored, option=orjson.OPT_INDENT_2)):
            return keys, True
    return load_keys(path), False


def _write_once(path: Path, content: bytes) -> bool:
    """Write a file that only its owner may read, unless there is one already. Raises `KeysUnusable`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except FileExistsError:
        return False
    except OSError as error:
        raise KeysUnusable(f"{path} cannot be written: {error.strerror}.") from None
    return True
