"""Reads the Databricks bundle as the CLI does: files merged, references found, problems told."""

from __future__ import annotations

import copy
import functools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import yaml

from closeloop.cli.main import cli

ROOT = Path(__file__).resolve().parents[3]
BUNDLE = ROOT / "bundle"
REFERENCE = re.compile(r"\$\{([^}]+)\}")
PARAMETER = re.compile(r"\{\{job\.parameters\.([A-Za-z0-9_.-]+)\}\}")
BUILT_IN = re.compile(r"^(bundle\.(name|target)|workspace\.[a-z_.]+)$")
GIVEN_BY_THE_SERVICE = {"id", "name", "url"}
"""Fields that a resource has once it is made, beside those that its file states."""


def files() -> list[Path]:
    return [BUNDLE / "databricks.yml", *sorted((BUNDLE / "resources").glob("*.yml"))]


def merged() -> dict[str, Any]:
    """Return databricks.yml with what it includes, as a copy to change."""
    return copy.deepcopy(_read())


@functools.cache
def _read() -> dict[str, Any]:
    main = yaml.safe_load((BUNDLE / "databricks.yml").read_text(encoding="utf-8"))
    resources: dict[str, dict[str, Any]] = {}
    for pattern in main["include"]:
        for path in sorted(BUNDLE.glob(pattern)):
            part = yaml.safe_load(path.read_text(encoding="utf-8"))
            assert set(part) == {"resources"}, path
            for kind, named in part["resources"].items():
                known = resources.setdefault(kind, {})
                assert not known.keys() & named.keys(), (path, kind, "defined twice")
                known.update(named)
    return {**main, "resources": resources}


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def undefined_references(bundle: dict[str, Any]) -> list[str]:
    """Return every ${…} that nothing in the bundle defines."""
    asked = {m for text in texts(bundle) for m in REFERENCE.findall(text)}
    return sorted(name for name in asked if not _defined(bundle, name))


def _defined(bundle: dict[str, Any], name: str) -> bool:
    kind, _, rest = name.partition(".")
    if kind == "var":
        return rest in bundle["variables"]
    if kind != "resources":
        return BUILT_IN.match(name) is not None
    parts = rest.split(".")
    resource = bundle["resources"].get(parts[0], {}).get(parts[1]) if len(parts) == 3 else None
    return resource is not None and (parts[2] in resource or parts[2] in GIVEN_BY_THE_SERVICE)


def wheel_tasks(bundle: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield (where, job, task) of each task that runs the wheel."""
    for name, job in bundle["resources"]["jobs"].items():
        for task in job["tasks"]:
            if "python_wheel_task" in task:
                yield f"{name}.{task['task_key']}", job, task


def scripts() -> tuple[str, dict[str, str]]:
    """Return the name of the package and the entry points that its wheel will have."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["name"], project["scripts"]


def problems_of_tasks(
    bundle: dict[str, Any], package: str, entry_points: dict[str, str]
) -> list[str]:
    """Return what would keep a task from starting: names, environment, the command line."""
    found = []
    for where, job, task in wheel_tasks(bundle):
        wheel = task["python_wheel_task"]
        if wheel["package_name"] != package:
            found.append(f"{where}: no package {wheel['package_name']}")
        if wheel["entry_point"] not in entry_points:
            found.append(f"{where}: no entry point {wheel['entry_point']}")
        environments = {e["environment_key"] for e in job.get("environments", [])}
        if task.get("environment_key") not in environments:
            found.append(f"{where}: no environment {task.get('environment_key')}")
        siblings = {t["task_key"] for t in job["tasks"]}
        after = {d["task_key"] for d in task.get("depends_on", [])}
        found += [f"{where}: no task {missing}" for missing in sorted(after - siblings)]
        found += [f"{where}: {problem}" for problem in _problems_of_parameters(job, wheel)]
    return found


def _problems_of_parameters(job: dict[str, Any], wheel: dict[str, Any]) -> Iterator[str]:
    given = {p["name"]: p["default"] for p in job.get("parameters", [])}
    arguments = []
    for text in wheel["parameters"]:
        unknown = [name for name in PARAMETER.findall(text) if name not in given]
        yield from (f"no job parameter {name}" for name in unknown)
        filled = PARAMETER.sub(lambda m: given.get(m[1], "x"), text)
        arguments.append(REFERENCE.sub("x", filled))
    try:
        parse(cli, "closeloop", arguments)
    except click.ClickException as error:
        yield error.format_message()


def parse(command: click.Command, name: str, arguments: list[str]) -> click.Context:
    """Parse a command line down to the last command, as the CLI does, and run none of it."""
    context = command.make_context(name, list(arguments))
    if isinstance(command, click.Group):
        rest = [*getattr(context, "_protected_args", []), *context.args]
        below, found, rest = command.resolve_command(context, rest)
        assert below is not None
        assert found is not None
        return parse(found, below, rest)
    return context
