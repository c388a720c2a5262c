"""The bundle is valid, complete, and starts only what the wheel really has."""

import copy
import json
import tomllib
from importlib import import_module

import jsonschema
import pytest
import regex
import yaml

from closeloop.engines.memory import MemoryEngine
from closeloop.stages.views import VIEWS
from closeloop.tables import TABLES
from tests.specs import document
from tests.unit.bundle.reading import (
    BUNDLE,
    ROOT,
    files,
    merged,
    problems_of_tasks,
    scripts,
    texts,
    undefined_references,
    wheel_tasks,
)


@pytest.fixture(scope="module")
def validator():
    return _validator(document("databricks_bundle_schema.json"))


@pytest.fixture
def bundle():
    return merged()


def _validator(schema):
    def pattern(_validator, wanted, value, _schema):
        # Written for Go: \p{L} is a letter, which Python's own re does not know.
        if isinstance(value, str) and not regex.search(wanted, value):
            yield jsonschema.ValidationError(f"{value!r} does not match {wanted!r}")

    kind = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": pattern})
    return kind(schema)


@pytest.mark.parametrize("path", files(), ids=lambda p: p.name)
def test_every_file_is_what_the_published_schema_allows(validator, path):
    assert [e.message for e in validator.iter_errors(yaml.safe_load(path.read_text()))] == []


def test_the_merged_bundle_is_what_the_published_schema_allows(validator, bundle):
    assert [e.message for e in validator.iter_errors(bundle)] == []


def _set(bundle, path, value):
    *way, last = path
    place = bundle
    for step in way:
        place = place[step]
    place[last] = value


LOOP = ("resources", "jobs", "loop")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("bundle", "engine"), "pulumi"),
        ((*LOOP, "max_concurent_runs"), 1),
        ((*LOOP, "queue"), {}),
        ((*LOOP, "trigger", "file_arrival"), {"min_time_between_triggers_seconds": 60}),
        ((*LOOP, "tasks", 0, "python_wheel_task", "parameters"), "run"),
        (("resources", "schemas", "gold", "grants", 0, "privileges"), ["READ_EVERYTHING"]),
        (("resources", "postgres_endpoints", "primary", "endpoint_type"), "READ_WRITE"),
        (("resources", "volumes", "landing", "volume_type"), "${vars.kind}"),
    ],
    ids=lambda p: ".".join(map(str, p)) if isinstance(p, tuple) else None,
)
def test_one_wrong_thing_is_refused_by_the_schema(validator, bundle, path, value):
    _set(bundle, path, value)
    assert not validator.is_valid(bundle)


def test_every_reference_is_defined(bundle):
    assert undefined_references(bundle) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("resources", "jobs", "loop_on_schedule", "tasks", 0, "run_job_task"), {"job_id": 1}),
        ((*LOOP, "name"), "loop of ${var.team}"),
        ((*LOOP, "name"), "loop of ${resources.jobs.looop.id}"),
        ((*LOOP, "name"), "loop of ${resources.jobs.loop.owner}"),
        ((*LOOP, "name"), "loop of ${bundle.nickname}"),
    ],
)
def test_a_reference_to_nothing_is_found(bundle, path, value):
    before = undefined_references(bundle)
    _set(bundle, path, value)
    broken = "${" in json.dumps(value)
    assert (undefined_references(bundle) != before) == broken


def test_every_variable_and_resource_that_is_removed_is_missed(bundle):
    asked = {
        name for text in texts(bundle) for name in bundle["variables"] if f"var.{name}}}" in text
    }
    assert asked == set(bundle["variables"])
    for name in asked:
        less = copy.deepcopy(bundle)
        del less["variables"][name]
        assert undefined_references(less) == [f"var.{name}"]
    del bundle["resources"]["postgres_roles"]
    assert undefined_references(bundle) == ["resources.postgres_roles.loop.id"]


def test_every_task_starts_an_entry_point_of_the_wheel_with_a_command_line_that_parses(bundle):
    package, entry_points = scripts()
    assert problems_of_tasks(bundle, package, entry_points) == []
    assert len(list(wheel_tasks(bundle))) >= 5
    for place in entry_points.values():
        module, _, name = place.partition(":")
        assert callable(getattr(import_module(module), name))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"entry_point": "closeloop-loop"}, "no entry point closeloop-loop"),
        ({"package_name": "closelop"}, "no package closelop"),
        ({"parameters": ["consolidate"]}, "No such command 'consolidate'"),
        ({"parameters": ["run", "--nightly"]}, "No such option"),
        (
            {"parameters": ["ingest", "{{job.parameters.path}}", "--source", "x"]},
            "no job parameter path",
        ),
        ({"parameters": ["ingest", "x"]}, "Missing option '--source'"),
    ],
)
def test_a_task_that_could_not_start_is_found(bundle, change, told):
    bundle["resources"]["jobs"]["loop"]["tasks"][0]["python_wheel_task"].update(change)
    (problem,) = problems_of_tasks(bundle, *scripts())
    assert problem.startswith("loop.")
    assert told in problem


EXTRAS_THERE = ("openai", "databricks")
"""What a job needs beyond the wheel's own dependencies; Spark is there already."""


def problems_of_environments(bundle):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    needed = {"../dist/*.whl", *(line for extra in EXTRAS_THERE for line in extras[extra])}
    return {
        where: sorted(needed ^ set(environment["spec"]["dependencies"]))
        for where, job, _task in wheel_tasks(bundle)
        for environment in job["environments"]
        if needed != set(environment["spec"]["dependencies"])
    }


def test_environments_have_what_the_extras_ask_for(bundle):
    assert problems_of_environments(bundle) == {}


@pytest.mark.parametrize("driver", ["pg8000>=1.31", "databricks-sdk>=0.100", "../dist/*.whl"])
def test_an_environment_that_lacks_one_is_found(bundle, driver):
    (environment,) = bundle["resources"]["jobs"]["publish"]["environments"]
    environment["spec"]["dependencies"].remove(driver)
    assert problems_of_environments(bundle)["publish.publish"] == [driver]


def test_every_job_queues_or_goes_on_by_itself_and_tells_somebody(bundle):
    for name, job in bundle["resources"]["jobs"].items():
        assert job["max_concurrent_runs"] == 1, name
        assert job.get("queue", {}).get("enabled") or "continuous" in job, name
        assert job["email_notifications"]["on_failure"] == ["${var.notify}"], name
    assert bundle["run_as"] == {"service_principal_name": "${var.service_principal}"}


def test_nothing_that_holds_data_goes_away_with_the_bundle(bundle):
    kept = [
        *(bundle["resources"]["schemas"][layer] for layer in ("bronze", "silver", "gold")),
        bundle["resources"]["volumes"]["workspace"],
        *bundle["resources"]["postgres_projects"].values(),
        *bundle["resources"]["secret_scopes"].values(),
    ]
    assert all(resource["lifecycle"]["prevent_destroy"] for resource in kept)


def test_readers_are_granted_no_schema_and_no_volume(bundle):
    for kind in ("schemas", "volumes", "catalogs"):
        for name, resource in bundle["resources"][kind].items():
            principals = {grant["principal"] for grant in resource["grants"]}
            assert "${var.readers}" not in principals, name


def test_the_dashboard_asks_only_for_columns_that_the_gold_views_have():
    dashboard = json.loads((BUNDLE / "dashboards" / "closeloop.lvdash.json").read_text())
    engine = MemoryEngine(keep=1)
    nothing = {table.full_name: None for table in TABLES}
    columns = {}
    for dataset in dashboard["datasets"]:
        query = "".join(dataset["queryLines"])
        columns[dataset["name"]] = set(engine.sql(query, versions=nothing).column_names)
    asked = []
    for page in dashboard["pages"]:
        for item in page["layout"]:
            (query,) = item["widget"]["queries"]
            held = columns[query["query"]["datasetName"]]
            fields = {f["expression"].split("`")[1] for f in query["query"]["fields"]}
            names = {f["name"] for f in query["query"]["fields"]}
            assert fields <= held, item["widget"]["name"]
            shown = item["widget"]["spec"]["encodings"]
            used = shown["columns"] if "columns" in shown else list(shown.values())
            assert {u["fieldName"] for u in used} == names
            asked.append(query["query"]["datasetName"])
    assert set(asked) == set(columns)
    assert {"".join(d["queryLines"]) for d in dashboard["datasets"]} == {
        f"SELECT * FROM {view.full_name}" for view in VIEWS if view.reader != "everyone"
    }


def test_the_built_wheel_has_the_entry_points_that_the_tasks_name(bundle, tmp_path):
    import configparser
    import zipfile

    from hatchling.builders.wheel import WheelBuilder

    (path,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(path) as wheel:
        (place,) = [n for n in wheel.namelist() if n.endswith(".dist-info/entry_points.txt")]
        parser = configparser.ConfigParser()
        parser.read_string(wheel.read(place).decode())
        assert "closeloop/stages/sql/support_queue.sql" in wheel.namelist()
    assert problems_of_tasks(bundle, "closeloop", dict(parser["console_scripts"])) == []
