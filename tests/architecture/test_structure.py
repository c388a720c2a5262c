"""Rules of the structure that a type checker does not see."""

import ast
from importlib.resources import files
from pathlib import Path

import pytest

from closeloop.cli.main import COMMANDS
from closeloop.loop import STAGES
from closeloop.tables import TABLES

SOURCE = Path(str(files("closeloop")))
MODULES = sorted(SOURCE.rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "base", "misc"}


def test_no_module_has_a_name_that_says_nothing():
    assert not [m for m in MODULES if m.stem in FORBIDDEN_NAMES or m.parent.name in FORBIDDEN_NAMES]


def test_the_loop_is_the_line_in_the_readme():
    assert [name for name, _ in STAGES] == (
        [
            "refine",
            "embed",
            "enrich",
            "theme",
            "detect",
            "attribute",
            "brief",
            "decide",
            "act",
            "verify",
            "learn",
        ]
    )


@pytest.mark.parametrize("layer", ["stages", "text", "stats", "domain"])
def test_pure_layers_never_ask_the_wall_clock(layer):
    for module in (SOURCE / layer).rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today"):
                owner = node.value
                assert not (isinstance(owner, ast.Name) and owner.id in ("datetime", "date")), (
                    module
                )


def test_every_command_exists_and_explains_itself():
    import importlib

    for name, (place, text) in COMMANDS.items():
        module, attribute = place.split(":")
        command = getattr(importlib.import_module(module), attribute)
        assert command.name == name
        assert command.help
        assert text


def test_every_table_is_named_once_and_has_its_key():
    names = [t.full_name for t in TABLES]
    assert len(set(names)) == len(names)
    for table in TABLES:
        assert set(table.key) <= set(table.schema.names), table.full_name


def test_the_command_line_stays_light():
    """--help must not import what takes long: no pyarrow, numpy, duckdb, sqlalchemy."""
    import subprocess
    import sys

    code = (
        "import sys; from closeloop.cli.main import cli;\n"
        "try: cli(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'pyarrow', 'numpy', 'duckdb', 'sqlalchemy', 'onnxruntime', 'rich', 'scipy'};\n"
        "found = heavy & set(sys.modules); sys.exit(f'imported: {found}' if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
