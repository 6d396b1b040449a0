"""TLS towards Kafka's brokers: what a connection is made with, and why a broker's or our certificate is not taken."""

import asyncio
import ssl
from pathlib import Path

from aiokafka import errors
from aiokafka.conn import create_conn

from broker_adapters.kafka.bearer import bearer_problem
from broker_adapters.kafka.faults import KafkaRefused
from broker_adapters.kafka.settings import KafkaSettings

PROBE_S = 2.0
"""For one look at a broker's TLS."""

QUESTION = b"\0\0\0\x0a\0\x12\0\0\0\0\0\0\xff\xff"
"""Which versions a broker speaks: its length, 18, version 0, number 0, no client's name. Any broker answers anybody."""

_SELF_SIGNED_OR_UNKNOWN = {18, 19, 20, 21}
_EXPIRED, _NOT_YET, _OTHER_HOST = 10, 9, {62, 64}


def tls_context(
    ca: Path | None, certificate: Path | None, key: Path | None, ca_setting: str = "kafka.ca_file"
) -> ssl.SSLContext:
    """Return the TLS settings of our clients. ca: left out, the system's. Raises `KafkaRefused` on unusable files."""
    try:
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    except OSError as error:
        raise KafkaRefused(f"The CA file {ca} ({ca_setting}) cannot be used: {error}. It has to be PEM.") from error
    if certificate is not None:
        try:
            # An encrypted key would ask at the terminal.
            context.load_cert_chain(certificate, key, password=b"")
        except OSError as error:
            raise KafkaRefused(
                f"The client certificate {certificate} with its key {key or certificate} cannot be used: {error}. "
                "Both have to be PEM, belong together, and the key must not be encrypted."
            ) from error
    return context


async def tls_problem(bootstrap: str, context: ssl.SSLContext) -> str | None:
    """Return why TLS with the first broker that answers fails; None where it succeeds, or none answers."""
    for address in bootstrap.split(","):
        host, _, port = address.rpartition(":")
        try:
            async with asyncio.timeout(PROBE_S):
                reader, writer = await asyncio.open_connection(host.strip("[] "), int(port), ssl=context)
                try:
                    # With TLS 1.3 a broker tells after the handshake that it refuses our certificate.
                    writer.write(QUESTION)
                    await reader.read(1)
                finally:
                    # A farewell of TLS would be waited for.
                    writer.transport.abort()
        except ssl.SSLError as error:
            return f"{address}: {_explain(error)}"
        except (OSError, TimeoutError):
            continue
        return None
    return None


async def login_problem(settings: KafkaSettings) -> str | None:
    """Return why the first broker that answers does not take our login; None where it does, or none answers."""
    if not settings.security_protocol.startswith("SASL_"):
        return None
    arguments = settings.client_arguments("login")
    if settings.tokens is not None:
        return await bearer_problem(settings.tokens, arguments)
    for address in arguments.pop("bootstrap_servers"):
        host, _, port = address.rpartition(":")
        try:
            connection = await create_conn(host.strip("[] "), int(port), **arguments)
        except (errors.SaslAuthenticationFailed, errors.UnsupportedSaslMechanismError) as error:
            # Neither the broker's words nor ours carry the password.
            return (
                f"{address}: {type(error).__name__} for the user {settings.sasl_username} by "
                f"{settings.sasl_mechanism}. Check kafka.username, kafka.password_file and kafka.sasl_mechanism."
            )
        except (OSError, TimeoutError, errors.KafkaError):
            continue
        connection.close()
        return None
    return None


def _explain(error: ssl.SSLError) -> str:
    if not isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS failed ({error.reason}). Does this port speak TLS, and does it take our client certificate?"
    if error.verify_code in _OTHER_HOST:
        return "the broker's certificate is for another host name. Use the name it is for in kafka_bootstrap."
    if error.verify_code == _EXPIRED:
        return "the broker's certificate has expired. Its operator has to renew it."
    if error.verify_code == _NOT_YET:
        return "the broker's certificate is not valid yet. Check this machine's clock."
    if error.verify_code in _SELF_SIGNED_OR_UNKNOWN:
        return "the broker's certificate is signed by a CA that we do not know. Name its CA in kafka.ca_file."
    return f"the broker's certificate is not valid: {error.verify_message}."
