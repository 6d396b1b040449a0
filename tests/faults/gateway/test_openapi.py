"""G9 by the book, short form."""

import httpx

from tests.faults.gateway import openapi


def test_answers_are_as_described() -> None:
    """Good and bad requests of every operation are answered as `/openapi.json` says, and each has answered well."""
    with openapi.gateway() as (served, headers):
        statuses = openapi.run_all(served, headers, examples=4, seed=3)
        # So few examples find a wrong media type by chance only.
        plain = httpx.post(f"{served.url}/v1/events", content=b"{}", headers=headers | {"Content-Type": "text/plain"})
    assert plain.status_code == 415
    labels = {label for label, _ in statuses}
    assert len(labels) > 25
    # An agreement with a precondition that fits is not found by chance, nor are parameters of a replay.
    well = {label for label, status in statuses if status < 300}
    assert labels - well <= {"PUT /v1/alliances/{alliance_id}", "GET /v1/audit/records", "GET /v1/audit/bounds"}
    assert {400, 401, 404, 422} <= {status for _, status in statuses}
