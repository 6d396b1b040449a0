"""A gateway that runs, as it answers; and the port that one would listen on."""

import socket
import time
from email.utils import parsedate_to_datetime

import httpx

from exchange_gateway.clock import Clock
from exchange_gateway.doctor.findings import Examination
from exchange_gateway.instance import Instance

TIMEOUT_S = 5.0
CLOCK_WARN_S, CLOCK_FAIL_S = 2.0, 60.0


def examine_gateway(seen: Examination, url: str, version: str, instance: Instance | None, clock: Clock) -> None:
    """Ask a gateway whether it lives, is ready, is this version, has our time, and which instance it is."""
    try:
        with httpx.Client(base_url=url, timeout=TIMEOUT_S) as client:
            began_s = time.monotonic()
            alive = client.get("/healthz")
            took_s = time.monotonic() - began_s
            ready = client.get("/readyz")
            described = client.get("/openapi.json")
            name = alive.json()["instance"]
            reasons = ready.json()["reasons"]
            runs = described.json()["info"]["version"]
    except httpx.HTTPError as error:
        seen.fail(
            "gateway",
            f"{url} does not answer ({type(error).__name__})",
            "Start it, or name another with --to. Its own log lines say why it stopped.",
            unreachable=True,
        )
        return
    except (httpx.InvalidURL, KeyError, TypeError, ValueError):
        seen.fail("gateway", f"{url} is no Kommunebro gateway", "Name the gateway's address with --to.")
        return
    if reasons:
        detail = "; ".join(map(str, reasons))[:500]
        seen.fail("gateway", f"{url} is not ready: {detail}", "Mend what it says, or wait.", unreachable=True)
    elif instance is not None and name != instance.name:
        seen.fail("gateway", f"{url} is of instance {name}, the log here of {instance.name}", "Name the right --to.")
    else:
        seen.ok("gateway", f"{url} is ready, instance {name}")
    if runs == version:
        seen.ok("version", f"{version}, as the gateway's")
    else:
        seen.warn("version", f"this is {version}, the gateway is {runs}", "Run the same version everywhere.")
    if "date" in alive.headers:
        _examine_date(seen, alive.headers["date"], took_s, clock)


def _examine_date(seen: Examination, date: str, took_s: float, clock: Clock) -> None:
    # `Date` has whole seconds, and was written somewhere between the question and the answer.
    apart_s = abs(clock.now_us() / 1e6 - parsedate_to_datetime(date).timestamp())
    if apart_s > CLOCK_FAIL_S + took_s:
        advice = "Set both clocks right (NTP): publishers may get 422 time-in-future, and tokens may not count yet."
        seen.fail("gateway's clock", f"{apart_s:.0f} seconds from this machine's", advice)
    elif apart_s > CLOCK_WARN_S + took_s:
        seen.warn("gateway's clock", f"{apart_s:.0f} seconds from this machine's", "Set both clocks right (NTP).")
    else:
        seen.ok("gateway's clock", "as this machine's")


def examine_port(seen: Examination, host: str, port: int) -> None:
    """See whether a gateway could listen."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((host, port))
    except OSError as error:
        found = f"cannot listen on {host} port {port}: {error.strerror}"
        seen.fail("port", found, "Stop the program that uses it, or choose another with --port.", unreachable=True)
    else:
        seen.ok("port", f"{host} port {port} is free")
