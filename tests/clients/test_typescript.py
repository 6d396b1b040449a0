"""A client in TypeScript, its types made from `/openapi.json`, checked by `tsc` and run by Node."""

import shutil
from pathlib import Path

import pytest

from tests.clients.conftest import Desk, journey
from tests.clients.tools import BIN, TYPESCRIPT, run, tsc, types


def test_an_order_goes_all_the_way(desk: Desk, tmp_path: Path) -> None:
    """It publishes as Struer, pulls and commits as Herning, lists the order, and understands why one is refused."""
    types(desk.description, tmp_path)
    shutil.copy(TYPESCRIPT / "journey.ts", tmp_path)
    tsc(tmp_path)
    file, subject = desk.order(tmp_path)
    said = run(BIN / "node", "out/journey.js", desk.served.url, desk.struer, desk.herning, file, cwd=tmp_path)
    assert said == journey(subject)


def test_a_wrong_client_does_not_compile(desk: Desk, tmp_path: Path) -> None:
    """The control: the types know the dataset, so a status that there is not is an error of the compiler."""
    types(desk.description, tmp_path)
    (tmp_path / "journey.ts").write_text((TYPESCRIPT / "journey.ts").read_text().replace('"open"', '"opne"'))
    with pytest.raises(AssertionError, match="opne"):
        tsc(tmp_path)
