"""Fetches the jars that requirements/jars.txt names, by Spark's own Ivy, and checks each one's hash.

    python requirements/jars.py DIR [--lock]

DIR/spark gets Delta's and Kafka's jars for Spark, DIR/kafka a Kafka broker's. Runs with the Python
that has pyspark (it brings Ivy). --lock writes the hashes anew. Ivy asks Maven Central, or what the
Ivy settings file that IVY_SETTINGS names says.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LOCK = Path(__file__).with_name("jars.txt")


def main() -> int:
    """Fetch what is missing; return an exit code."""
    target, lock = Path(sys.argv[1]), "--lock" in sys.argv[2:]
    entries = [line.split() for line in LOCK.read_text().splitlines() if line and line[0] != "#"]
    if not lock and all(_is(target / e[0] / _file(e[1]), e[2]) for e in entries):
        return 0
    if shutil.which("java") is None:
        print("no java on the PATH: install a JDK or JRE 17 (for example openjdk-17-jre-headless)")
        return 3
    if not _retrieve([e[1] for e in entries], target / "all"):
        print("the jars can't be fetched: Ivy's lines above say which, and where it looked")
        return 3
    lines = []
    for folder, coordinates, *given in entries:
        source = target / "all" / _file(coordinates)
        found = _sha256(source)
        if not lock and found != given[0]:
            print(f"{coordinates}: sha256 {found}, and requirements/jars.txt has {given[0]}")
            return 1
        (target / folder).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target / folder / source.name)
        lines.append(f"{folder} {coordinates} {found}")
    shutil.rmtree(target / "all")
    if lock:
        head = [line for line in LOCK.read_text().splitlines() if line.startswith("#")]
        LOCK.write_text("\n".join([*head, *lines]) + "\n")
    return 0


def _retrieve(coordinates: list[str], into: Path) -> bool:
    import pyspark

    ivy = next((Path(pyspark.__file__).parent / "jars").glob("ivy-*.jar"))
    wanted = "".join(
        f'<dependency org="{g}" name="{a}" rev="{v}" transitive="false" conf="default"/>'
        for g, a, v in (c.split(":") for c in sorted(set(coordinates)))
    )
    with tempfile.TemporaryDirectory() as folder:
        module = Path(folder) / "ivy.xml"
        module.write_text(
            '<ivy-module version="2.0"><info organisation="closeloop" module="jars"/>'
            '<configurations><conf name="default"/></configurations>'
            # Two versions of one artefact are wanted side by side: nothing may be evicted.
            f'<dependencies>{wanted}<conflict manager="all"/></dependencies></ivy-module>'
        )
        command = ["java", "-jar", str(ivy), "-ivy", str(module), "-confs", "default", "-warn"]
        if "IVY_SETTINGS" in os.environ:
            command += ["-settings", os.environ["IVY_SETTINGS"]]
        pattern = f"{into.resolve()}/[artifact]-[revision].[ext]"
        done = subprocess.run([*command, "-types", "jar", "bundle", "-retrieve", pattern])
    return done.returncode == 0 and all((into / _file(c)).exists() for c in coordinates)


def _file(coordinates: str) -> str:
    _, artefact, version = coordinates.split(":")
    return f"{artefact}-{version}.jar"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _is(path: Path, sha256: str) -> bool:
    return path.exists() and _sha256(path) == sha256


if __name__ == "__main__":
    sys.exit(main())
