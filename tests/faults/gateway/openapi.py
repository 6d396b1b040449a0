"""G9 by the book: requests made from `/openapi.json`, good and bad, are answered as it says.

Schemathesis makes the requests and compares each answer: its status, media type, headers and shape are described, bad
data is refused, an unknown method is 405, and nothing is a 5xx. Half of the requests name things that there are.

    python -m tests.faults.gateway.openapi --examples 500
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.processes import Served, bearer, load_alliances, serving
from tests.support import SCHEMAS

ROLES = ("publisher", "reader", "auditor", "operator")
NOT_HELD = [positive_data_acceptance]
"""A check that cannot hold: the dataset has rules that JSON Schema cannot say, such as check digits."""

REFUSALS = [207, 400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 428]
"""What bad data is answered with, a batch with 207; an agreement's precondition is looked at before its body."""

PUBLISHED = SCHEMAS / "job-order" / "examples" / "1.0" / "struer-klejnsmede-aaben.json"
"""An event that is there; its like are published first."""

BRIEF = "[limits]\nstream_s_max = 0.1\nwait_s_max = 0.1\n"
"""Streams and long polls that end soon."""


@contextmanager
def gateway() -> Iterator[tuple[Served, dict[str, str]]]:
    """Run a gateway that has the alliances and Struer's orders, and give the headers of a client who may do all."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        config = Path(folder) / "brief.toml"
        config.write_text(BRIEF)
        with serving(data, "--config", str(config)) as served:
            headers = bearer(data, "0671", *ROLES)
            load_alliances(served)
            for file in sorted(PUBLISHED.parent.glob("struer-*.json")):
                kind = {"Content-Type": "application/cloudevents+json"}
                answer = httpx.post(f"{served.url}/v1/events", content=file.read_bytes(), headers=headers | kind)
                assert answer.status_code == 201, answer.text
            yield served, headers


def things(served: Served, headers: dict[str, str]) -> dict[str, Any]:
    """Return parameters of paths that name something that there is."""
    made = httpx.post(f"{served.url}/v1/subscriptions", json={"name": "Alt"}, headers=headers)
    assert made.status_code == 201, made.text
    found = httpx.get(f"{served.url}/v1/job-orders", headers=headers).json()["jobOrders"]
    return {
        "job_order_id": found[0]["jobOrderId"],
        "event": found[0]["event"],
        "bounds": httpx.get(f"{served.url}/v1/audit/bounds", headers=headers).json(),
        "subscription_id": made.json()["id"],
        "published": json.loads(PUBLISHED.read_text("utf-8")),
        "alliance_id": "vestalliancen",
        "version": "1.0",
    }


def run_all(served: Served, headers: dict[str, str], examples: int, seed: int) -> Counter[tuple[str, int]]:
    """Make `examples` good and as many bad requests of each operation; return how often each status came.

    Raises schemathesis' `FailureGroup` for an answer that is not as it is described.
    """
    config = schemathesis.Config.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": REFUSALS}}})
    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json", config=config)
    known, statuses = things(served, headers), Counter[tuple[str, int]]()
    # What deletes comes last, so that there is something until then.
    for operation in sorted((one.ok() for one in schema.get_all_operations()), key=lambda one: one.method == "delete"):
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):

            @hypothesis.seed(seed)
            @hypothesis.settings(
                max_examples=examples,
                deadline=None,
                database=None,
                phases=[hypothesis.Phase.generate],
                suppress_health_check=list(hypothesis.HealthCheck),
            )
            @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
            def ask(case: Any) -> None:
                made = sum(times for (label, _), times in statuses.items() if label == case.operation.label)
                if made % 2 == 0 and case.meta.generation.mode is schemathesis.GenerationMode.POSITIVE:
                    _aim(case, known)
                # A request that only lacked our token lacks nothing any more: the check has to see it as it is sent.
                case.headers.update(headers)
                answer = case.call(headers=headers, timeout=30)
                statuses[case.operation.label, answer.status_code] += 1
                case.validate_response(answer, excluded_checks=NOT_HELD, headers=headers)

            try:
                ask()
            except hypothesis.errors.Unsatisfiable:
                # An operation without parameters and body has no bad requests.
                assert mode is schemathesis.GenerationMode.NEGATIVE, operation.label
    return statuses


def _aim(case: Any, known: dict[str, Any]) -> None:
    """Let a request name something that there is."""
    names = known | {"name": "conflict" if case.path.startswith("/problems") else "job-order"}
    case.path_parameters |= {name: names[name] for name in names if name in case.path_parameters}
    if case.path == "/v1/trace":
        case.query = dict(known["event"])
    if case.path.startswith("/v1/subscriptions/"):
        # A cursor that was not given there, or in another shape, is refused.
        case.query.pop("after", None)
        case.headers.pop("Last-Event-ID", None)
        case.headers.pop("last-event-id", None)
    if case.path.endswith("/cursor"):
        case.body = {"rewind": "earliest"}
    if case.path in ("/v1/events", "/v1/events:validate"):
        # Whether a few generated events pass every rule of the dataset depends on chance, and on what else is loaded.
        case.media_type, case.body = "application/cloudevents+json", known["published"]
        case.headers = {name: value for name, value in case.headers.items() if not name.lower().startswith("ce-")}
    if case.operation.label == "POST /v1/audit/records":
        case.body = known["bounds"]


def main() -> None:
    """Run the campaign and print the statuses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with gateway() as (served, headers):
        statuses = run_all(served, headers, options.examples, options.seed)
    for (label, status), times in sorted(statuses.items()):
        print(f"{label}: {status} {times} times")  # noqa: T201
    print(f"seed {options.seed}: {sum(statuses.values())} requests, each answered as described")  # noqa: T201


if __name__ == "__main__":
    main()
