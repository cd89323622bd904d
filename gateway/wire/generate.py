"""Write `messages/` from Kafka's own schemas, which ship in its clients' jar: `python -m gateway.wire.generate`.

The jar is named by `schemas.pom.xml` and fetched by Maven into the user's cache; we commit what we generate, not the
schemas. With --check nothing is written, and the exit code is 1 if the committed files differ.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from .apis import SPOKEN_APIS, SpokenApi
from .emitter import ModuleEmitter
from .errors import GenerateError
from .schemas import MessageSchema, parse_schema, snake

HERE: Final = Path(__file__).parent
MESSAGES: Final = HERE / "messages"
POM: Final = HERE / "schemas.pom.xml"
POM_NAMESPACE: Final = "{http://maven.apache.org/POM/4.0.0}"
FETCH_SECONDS_MAX: Final = 300


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m gateway.wire.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if files differ")
    parser.add_argument("--jar", type=Path, help="kafka-clients jar to read (default: fetched by Maven)")
    options = parser.parse_args(arguments)
    try:
        modules = generated_modules(options.jar or fetched_jar())
    except GenerateError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    stale = stale_files(modules)
    if options.check:
        for name in stale:
            sys.stderr.write(f"{name} is out of date\n")
        return 1 if stale else 0
    for name in stale:
        if name in modules:
            (MESSAGES / name).write_text(modules[name], encoding="utf-8")
        else:
            (MESSAGES / name).unlink()
    sys.stdout.write(f"{len(modules)} modules, {len(stale)} changed\n")
    return 0


def generated_modules(jar: Path) -> dict[str, str]:
    """Return the source of each module by file name."""
    version = kafka_version()
    try:
        with zipfile.ZipFile(jar) as archive:
            return {f"{snake(api.name)}.py": _module(archive, api, version) for api in SPOKEN_APIS}
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise GenerateError(f"{jar} holds no readable schemas: {error}") from error


def _module(archive: zipfile.ZipFile, api: SpokenApi, version: str) -> str:
    request, response = (
        parse_schema(archive.read(f"common/message/{api.name}{direction}.json").decode())
        for direction in ("Request", "Response")
    )
    for schema in (request, response):
        _check(api, schema)
    return ModuleEmitter(api, request, response, version).source()


def _check(api: SpokenApi, schema: MessageSchema) -> None:
    if schema.api_key != api.key:
        raise GenerateError(f"{api.name} has key {schema.api_key}, not {api.key}")
    if api.first not in schema.versions or api.last not in schema.versions:
        raise GenerateError(
            f"{schema.top.name} has versions {schema.versions.first} to {schema.versions.last}, "
            f"not {api.first} to {api.last}"
        )


def stale_files(modules: dict[str, str]) -> list[str]:
    """Return the names of files that differ from the generated modules, are missing, or are no longer generated."""
    present = {path.name: path.read_text(encoding="utf-8") for path in MESSAGES.glob("*.py")}
    present.pop("__init__.py", None)
    return sorted(name for name in {*modules, *present} if modules.get(name) != present.get(name))


def kafka_version() -> str:
    """Return the version of Kafka that the pom names."""
    version = ET.parse(POM).findtext(f".//{POM_NAMESPACE}kafka.version")  # noqa: S314  our own file
    if version is None:
        raise GenerateError(f"{POM} names no kafka.version")
    return version


def fetched_jar() -> Path:
    """Return the jar in the user's cache, fetched by Maven if it is not there yet. Raises: GenerateError."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "timesplit"
    jar = cache / f"kafka-clients-{kafka_version()}.jar"
    if jar.exists():
        return jar
    maven = shutil.which("mvn")
    if maven is None:
        raise GenerateError(f"{jar} is missing and there is no mvn to fetch it; name a jar with --jar")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        _fetch(maven, Path(folder))
        # Whole or not at all: a broken download must not be taken for the jar next time.
        (Path(folder) / jar.name).replace(jar)
    return jar


def _fetch(maven: str, folder: Path) -> None:
    command = [maven, "-B", "-q", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_SECONDS_MAX, check=False)  # noqa: S603  fixed words and our own paths
    except subprocess.TimeoutExpired as error:
        raise GenerateError(f"mvn took more than {FETCH_SECONDS_MAX} s") from error
    if done.returncode != 0:
        raise GenerateError(f"mvn could not fetch what {POM.name} names: {(done.stdout + done.stderr)[-500:]}")


if __name__ == "__main__":
    sys.exit(main())
