"""What a connection to Kafka needs, and every limit that the adapter holds."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from broker_adapters.kafka.bearer import TokenSource

MEBIBYTE = 1024 * 1024

MAILBOX = "in."
"""What the names of topics begin with to which others' producers write."""


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Where Kafka is, what the log's topics are called there, and how long to wait for it.

    bootstrap: `host:port`, several with commas. prefix: put before every topic, group and transactional id.
    state_folder: for the local copies of processors' state; it may be lost, and is then filled anew.
    """

    bootstrap: str
    state_folder: Path
    prefix: str = ""

    replication_factor: int | None = None
    """Of the topics that are made. None: 3, or as many as there are brokers."""

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    ssl_context: ssl.SSLContext | None = None
    sasl_mechanism: str = "PLAIN"
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    tokens: TokenSource | None = None
    """For the mechanism OAUTHBEARER."""

    request_timeout_s: float = 5.0
    """For one answer of a broker. A broker that stopped without closing its connections is left after it."""

    start_deadline_s: float = 15.0
    """For `open` and for entering a processor: a broker that was killed is back after 6 s."""

    append_deadline_s: float = 10.0
    """For one append; aiokafka's idempotent producer has none of its own, and once kept a caller for 98 s."""

    commit_deadline_s: float = 10.0

    transaction_timeout_s: float = 15.0
    """How long the brokers let a transaction of a dead processor hold up readers; over the commit's deadline."""

    undecided_s_max: float = 120.0
    """How long an append that nobody waits for any more is followed up before its producer is dropped."""

    batch_bytes_max: int = 900_000
    """900 KB a batch brought 36,100 events/s where 256 KB brought 27,800; brokers take about 1 MB."""

    in_flight_bytes_max: int = 64 * MEBIBYTE
    """How much may wait to be written before `append` pushes back."""

    @property
    def logins_may_end(self) -> bool:
        """Whether brokers may end a login after a while (`connections.max.reauth.ms`).

        They tell of it by closing the connection at the next request, unheard.
        """
        return self.security_protocol.startswith("SASL_")

    def client_arguments(self, role: str) -> dict[str, Any]:
        """Return what every aiokafka client is made with. role: seen in the brokers' own logs."""
        return {
            "bootstrap_servers": self.bootstrap.split(","),
            "client_id": f"kommunebro-{role}",
            "request_timeout_ms": int(self.request_timeout_s * 1000),
            "security_protocol": self.security_protocol,
            "ssl_context": self.ssl_context,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.sasl_username,
            "sasl_plain_password": self.sasl_password,
            "sasl_oauth_token_provider": self.tokens,
        }
