"""How a problem becomes an answer, and the page that explains it (RFC 9457)."""

import orjson
from starlette.responses import Response

from exchange_gateway.problems import PROBLEMS, Problem, ProblemType

MEDIA_TYPE = "application/problem+json"

__all__ = ["MEDIA_TYPE", "PROBLEMS", "Problem", "ProblemType", "explain", "problem_response"]


def problem_response(problem: Problem) -> Response:
    """Render a problem as the answer to a request."""
    return Response(orjson.dumps(problem.body()), problem.type.status, problem.headers, MEDIA_TYPE)


def explain(row: ProblemType) -> dict[str, object]:
    """Return what `GET /problems/{name}` tells of a problem type."""
    return {
        "type": f"/problems/{row.name}",
        "title": row.title,
        "status": row.status,
        "retryable": row.retryable,
        "explanation": row.explanation,
    }
