"""Every setting, read once at the start and handed down. No other module reads the environment.

A setting comes from a flag, else a `KOMMUNEBRO_*` variable, else the TOML file of `--config`.
In a variable's name a group and its setting are joined by two underscores: `KOMMUNEBRO_LIMITS__EVENT_BYTES_MAX`.
"""

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Limits(_Group):
    """How much is taken at once. Everything has a limit."""

    event_bytes_max: int = Field(256 * 1024, gt=0, le=900 * 1024, description="One event's size in bytes.")
    request_bytes_max: int = Field(16 * 1024 * 1024, gt=0, description="One request's body in bytes.")
    request_events_max: int = Field(10_000, gt=0, description="Events in one request.")
    body_timeout_s: float = Field(30.0, gt=0, description="Seconds within which a request's body must have arrived.")
    publish_timeout_s: float = Field(
        10.0, gt=0, description="Seconds after which publishing answers 503, outcome unknown."
    )
    in_flight_bytes_max: int = Field(
        64 * 1024 * 1024, gt=0, description="Bytes of bodies being published at once; more wait their turn."
    )
    connections_max: int = Field(
        2_000, gt=0, description="Connections open at once; idle ones make room for more, else those are answered 503."
    )
    open_max: int = Field(1_500, gt=0, description="Streams and long polls open at once; more are answered 503.")
    idle_s_max: float = Field(
        30.0, gt=0, description="Seconds after which a connection is closed on which no whole request's head came."
    )
    slow_s_max: float = Field(
        30.0, gt=0, description="Seconds in which a client must take 64 KiB of its answer, or the rest; else it is cut."
    )
    subscriptions_max: int = Field(100, gt=0, description="Subscriptions of one participant.")
    wait_s_max: float = Field(60.0, ge=0, description="Seconds for which a pull may wait for events.")
    stream_s_max: float = Field(
        3600.0, gt=0, description="Seconds after which a stream ends; its client connects again, with a valid token."
    )
    future_minutes_max: float = Field(10.0, ge=0, description="How far ahead of our clock an event's time may be.")
    rate_per_s: float | None = Field(None, gt=0, description="Requests a second and participant; left out: no limit.")
    rate_burst: int = Field(
        100, gt=0, description="Requests that a participant may send at once before the rate counts."
    )


class Kafka(_Group):
    """How the log is reached when it is Apache Kafka."""

    prefix: str = Field("", pattern=r"^[a-zA-Z0-9._-]{0,64}$", description="Put before every topic's name.")
    replication_factor: int | None = Field(
        None, gt=0, description="Copies of a topic; left out: 3, or the brokers there are."
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How the brokers are spoken to; a password goes over TLS only."
    )
    ca_file: Path | None = Field(
        None, description="PEM of the CA of the brokers' certificates; left out: the system's."
    )
    certificate_file: Path | None = Field(None, description="PEM of our client certificate (mTLS).")
    key_file: Path | None = Field(None, description="PEM of its key; left out: in the certificate's file.")
    sasl_mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN", "OAUTHBEARER"] = Field(
        "SCRAM-SHA-512", description="How we log in with SASL_SSL."
    )
    username: str | None = Field(None, description="Our user at the brokers, with a password.")
    password_file: Path | None = Field(None, description="The file that holds the user's password.")
    token_url: str | None = Field(
        None,
        pattern=r"^https://[^\s@]+$",
        description="Where the token server gives tokens, with OAUTHBEARER.",
    )
    token_ca_file: Path | None = Field(
        None, description="PEM of the CA of the token server's certificate; left out: the system's."
    )
    client_id: str | None = Field(None, description="Who we are at the token server.")
    client_secret_file: Path | None = Field(None, description="The file that holds the client's secret.")
    scope: str | None = Field(None, description="The scope that we ask the token server for; left out: its own choice.")


class Tokens(_Group):
    """Whose tokens count. Without an issuer of its own the instance signs them itself."""

    issuer: str | None = Field(None, description="`iss` of an external issuer; our own tokens are then refused.")
    jwks_url: str | None = Field(None, description="Where the external issuer's public keys are.")
    audience: str = Field("kommunebro", description="`aud` that a token must name.")


class Telemetry(_Group):
    """Where traces go."""

    otlp_endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^\s]+$",
        description="Where spans are sent by OTLP over HTTP, such as `http://127.0.0.1:4318`; left out: nowhere.",
    )
    sample_ratio: float = Field(
        0.01, ge=0, le=1, description="Share of the publishing requests without a `traceparent` that are traced."
    )


class Settings(BaseSettings):
    """All settings of one gateway or forwarder."""

    model_config = SettingsConfigDict(
        env_prefix="KOMMUNEBRO_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    data: Path = Field(
        Path("kommunebro-data"), description="The data folder: keys, local read models, the embedded log."
    )
    kafka_bootstrap: str | None = Field(None, description="HOST:PORT,… of Apache Kafka; left out: the embedded log.")
    keys: Path | None = Field(None, description="The instance's secrets; left out: instance.keys in the data folder.")
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    forwarder: bool = Field(True, description="Whether the gateway runs a forwarder beside it.")
    intake: bool = Field(True, description="Whether a gateway on Kafka takes in what stands in the mailboxes.")
    cvr_modulus: Literal["refuse", "warn"] = Field(
        "refuse", description="What a CVR number with a wrong check digit leads to."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least level that is logged."
    )
    limits: Limits = Limits()
    kafka: Kafka = Kafka()
    tokens: Tokens = Tokens()
    telemetry: Telemetry = Telemetry()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # we read no .env file
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let flags count before variables before the file, which comes in as the flag `config_file`."""
        flags = dict(init_settings.init_kwargs) if isinstance(init_settings, InitSettingsSource) else {}
        file_values: dict[str, Any] = flags.pop("config_file", {})
        return (
            InitSettingsSource(settings_cls, flags),
            env_settings,
            InitSettingsSource(settings_cls, file_values),
        )


def load_settings(config: Path | None = None, **flags: Any) -> Settings:
    """Read the settings; `flags` that are None were not given. Raises `OSError`, `ValueError`."""
    values: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    values["config_file"] = tomllib.loads(config.read_text("utf-8")) if config is not None else {}
    return Settings(**values)


def unknown_variables() -> list[str]:
    """Return the `KOMMUNEBRO_*` variables that name no setting, such as misspelt ones, which are passed over."""
    known = {"KOMMUNEBRO_TO", "KOMMUNEBRO_TOKEN", *_variables(Settings, "KOMMUNEBRO_")}
    return sorted(name for name in os.environ if name.upper().startswith("KOMMUNEBRO_") and name.upper() not in known)


def _variables(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name.upper()}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _variables(field.annotation, f"{prefix}{name.upper()}__")
