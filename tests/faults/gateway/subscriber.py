"""A subscriber in a process of its own, made to be killed: pull, write down what came, work, commit, write that down.

python -m tests.faults.gateway.subscriber PORT TOKEN SUBSCRIPTION DIARY
"""

import http.client
import json
import sys
import time
from pathlib import Path
from typing import IO, Any

PAGE_EVENTS = 7
WORK_S = 0.02
"""What a subscriber does with a page before it commits it."""

OK = 200


def subscribe_and_work(port: int, token: str, subscription: str, diary: Path) -> None:
    """Be the subscriber: pull, write down what came, commit, write that down; until killed."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def ask(method: str, path: str, body: str | None = None) -> Any:
        connection.request(method, f"/v1/subscriptions/{subscription}{path}", body, headers)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == OK, content
        return json.loads(content)

    with diary.open("a", encoding="utf-8") as book:
        while True:
            pulled = ask("GET", f"/events?limit={PAGE_EVENTS}&wait=5")
            ids = [event["id"] for event in pulled["events"]]
            if not ids:
                continue
            _write(book, {"got": ids})
            time.sleep(WORK_S)
            ask("POST", "/cursor", json.dumps({"cursor": pulled["cursor"]}))
            _write(book, {"committed": ids})


def _write(book: IO[str], line: object) -> None:
    book.write(json.dumps(line) + "\n")
    book.flush()  # the system keeps it when the process is killed


if __name__ == "__main__":
    subscribe_and_work(int(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
