"""A real broker that demands TLS, and a SCRAM password, a client certificate or a token."""

import datetime as dt
import ipaddress
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from os import kill
from pathlib import Path
from signal import SIGKILL

from confluent_kafka import Producer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from broker_adapters.local_kafka import _free_ports, _java
from broker_adapters.local_kafka_jars import KAFKA_VERSION, caches, class_path
from broker_adapters.local_kafka_process import is_running, spawn, tail
from tests.kafka.token_server import AUDIENCE, ISSUER, TokenServer, token_server

PASSWORD = "rigtigt-kodeord"  # of a broker that lives for one test

USERS = ("gateway", "limited", "struer")
"""`gateway` may do everything; the others nothing, until they are allowed it."""

TOOLS = f"org.apache.kafka:kafka-tools:{KAFKA_VERSION}"
OAUTH = "org.apache.kafka.common.security.oauthbearer"
SESSION_MS = 2000
"""After as long a broker closes a connection that came in by a token, so that a new one has to log in again."""

SCRAM_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


class Authority:
    """A CA that signs certificates as PEM: key and certificate in one file."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / f"{name}.pem"
        signed = self._sign(self._name, self._key, x509.BasicConstraints(ca=True, path_length=None), None)
        self.file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def _sign(self, name, key, constraint, host) -> x509.Certificate:  # type: ignore[no-untyped-def]
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(constraint, critical=True)
        )
        if host:
            names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def certificate(self, name: str, host: str | None = None) -> Path:
        """Return a file with a new key and its certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signed = self._sign(subject, key, x509.BasicConstraints(ca=False, path_length=None), host)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = self._folder / f"{name}.pem"
        file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
        return file


@dataclass(frozen=True)
class Secured:
    """Where the broker listens, and the CA that it and its clients are signed by."""

    scram: str
    mtls: str
    oauth: str
    authority: Authority
    tokens: TokenServer
    folder: Path

    def client(self, user: str) -> dict[str, str]:
        """Return how librdkafka logs in as a user."""
        return {
            "bootstrap.servers": self.scram,
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(self.authority.file),
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": user,
            "sasl.password": PASSWORD,
        }

    def producer(self, user: str) -> Producer:
        """Return a producer that no one here wrote."""
        return Producer(self.client(user) | {"enable.idempotence": True, "message.timeout.ms": 10_000})

    def written(self, producer: Producer, topic: str) -> object:
        """Write a message; return the error, None where there is none."""
        errors: list[object] = []
        producer.produce(topic, b"{}", on_delivery=lambda error, _: errors.append(error))
        producer.flush(20)
        return errors[0] if errors else "no answer"

    def login(self, user: str) -> str:
        """Return how Kafka's own tools log in as a user: a file of properties."""
        login = f'{SCRAM_LOGIN.removesuffix(";")} username="{user}" password="{PASSWORD}";'
        lines = {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.jaas.config": login,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.authority.file,
        }
        return "".join(f"{name}={value}\n" for name, value in lines.items())

    def carry_out(self, script: str) -> None:
        """Run commands in a shell to which `kafka-acls` is Kafka's own, as it is in its distribution."""
        jars = class_path(caches() / f"kafka-tools-{KAFKA_VERSION}", (TOOLS,), "Kafka's tools")
        programs = self.folder / "programs"
        programs.mkdir(exist_ok=True)
        program = programs / "kafka-acls"
        java = [str(word) for word in _java() if not str(word).startswith("-Xmx")][:1]
        quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        words = shlex.join([java[0], *quick, "-cp", jars, "org.apache.kafka.tools.AclCommand"])
        program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        program.chmod(0o755)
        # Each is a Java of its own, which takes a second: two at once.
        done = subprocess.run(
            ["xargs", "-P", "2", "-d", "\n", "-n", "1", "sh", "-c", 'eval "$0"'], input=script, text=True,
            capture_output=True, check=False, env={**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def secured_broker(folder: Path) -> Iterator[Secured]:
    """Run the broker while the block runs.

    Its users: `USERS` by password, `CN=gateway` by certificate, `gateway` by a token.
    """
    authority = Authority(folder, "ca")
    with token_server(authority.certificate("login", "127.0.0.1")) as tokens:
        yield from _with_tokens(folder, authority, tokens)


def _with_tokens(folder: Path, authority: Authority, tokens: TokenServer) -> Iterator[Secured]:
    names = ("SCRAM", "MTLS", "OAUTH", "CONTROLLER")
    places = dict(zip(names, (f"127.0.0.1:{port}" for port in _free_ports(len(names))), strict=True))
    lines = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{places['CONTROLLER']}",
        "listeners": ",".join(f"{name}://{place}" for name, place in places.items()),
        "listener.security.protocol.map": "SCRAM:SASL_SSL,MTLS:SSL,OAUTH:SASL_SSL,CONTROLLER:SSL",
        "inter.broker.listener.name": "MTLS",
        "controller.listener.names": "CONTROLLER",
        "listener.name.mtls.ssl.client.auth": "required",
        "listener.name.controller.ssl.client.auth": "required",
        "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.scram.scram-sha-512.sasl.jaas.config": SCRAM_LOGIN,
        "listener.name.oauth.sasl.enabled.mechanisms": "OAUTHBEARER",
        "listener.name.oauth.oauthbearer.sasl.jaas.config": f"{OAUTH}.OAuthBearerLoginModule required;",
        "listener.name.oauth.oauthbearer.sasl.server.callback.handler.class": (
            f"{OAUTH}.OAuthBearerValidatorCallbackHandler"
        ),
        "listener.name.oauth.oauthbearer.connections.max.reauth.ms": SESSION_MS,
        "sasl.oauthbearer.jwks.endpoint.url": tokens.jwks_url,
        "sasl.oauthbearer.expected.audience": AUDIENCE,
        "sasl.oauthbearer.expected.issuer": ISSUER,
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": authority.certificate("broker", "127.0.0.1"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": authority.file,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": "User:CN=broker;User:gateway;User:CN=gateway",
        "log.dirs": folder / "log",
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
    }
    config, output = folder / "server.properties", folder / "output.log"
    config.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    made = [
        *_java("-XX:TieredStopAtLevel=1"),
        "kafka.tools.StorageTool",
        "format",
        "--cluster-id",
        "kAAAAAAAAAAAAAAAAAAAAA",
        "--config",
        str(config),
    ]
    for user in USERS:
        made += ["--add-scram", f"SCRAM-SHA-512=[name={user},password={PASSWORD}]"]
    subprocess.run(made, check=True, capture_output=True)
    allowed = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={tokens.jwks_url}"
    pid = spawn([*_java(allowed), "kafka.Kafka", str(config)], output)
    try:
        deadline = time.monotonic() + 60
        while "Kafka Server started" not in tail(output):
            assert is_running(pid, str(config)), tail(output)[-3000:]
            assert time.monotonic() < deadline, tail(output)[-3000:]
            time.sleep(0.05)
        yield Secured(places["SCRAM"], places["MTLS"], places["OAUTH"], authority, tokens, folder)
    finally:
        with suppress(ProcessLookupError):
            kill(pid, SIGKILL)
        while is_running(pid, str(config)):
            time.sleep(0.02)
