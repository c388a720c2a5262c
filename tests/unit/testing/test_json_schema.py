"""The schema check finds what breaks a contract, and knows what it does not know."""

from typing import Any

import pytest

from closeloop.testing.json_schema import violations

ROOT = {"defs": {"name": {"type": "string", "minLength": 2}}}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer"}, 3, True),
        ({"type": "integer"}, 3, 3.5),
        ({"type": ["string", "null"]}, None, 1),
        ({"type": "string", "nullable": True}, None, 1),
        ({"enum": ["a", "b"]}, "a", "c"),
        ({"$ref": "#/defs/name"}, "ab", "a"),
        ({"required": ["x"], "properties": {"x": {"type": "number"}}}, {"x": 1}, {}),
        ({"properties": {"x": {"type": "number"}}}, {"x": 1}, {"x": "1"}),
        ({"properties": {"x": {}}, "additionalProperties": False}, {"x": 1}, {"y": 1}),
        ({"additionalProperties": {"type": "string"}}, {"y": "1"}, {"y": 1}),
        ({"items": {"type": "string"}, "minItems": 1}, ["a"], []),
        ({"items": {"type": "string"}}, ["a"], ["a", 1]),
        ({"maxItems": 1}, [1], [1, 2]),
        ({"minimum": 1, "maximum": 3}, 2, 4),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None, 1),
        ({"oneOf": [{"type": "number"}, {"type": "string"}]}, 1, []),
        ({"oneOf": [{"minimum": 1}, {"maximum": 3}]}, 7, 2),
        ({"allOf": [{"minimum": 1}, {"maximum": 3}]}, 2, 7),
    ],
)
def test_good_values_pass_and_bad_ones_do_not(schema: dict[str, Any], good: Any, bad: Any) -> None:
    assert violations(good, schema, root=ROOT) == []
    assert violations(bad, schema, root=ROOT)


def test_the_place_is_told() -> None:
    schema = {"properties": {"a": {"items": {"type": "string"}}}}
    assert violations({"a": ["x", 1]}, schema, root={}) == ["$.a[1]: int is no string"]


def test_a_keyword_that_is_not_known_is_not_passed_over() -> None:
    with pytest.raises(ValueError, match="patternProperties"):
        violations({}, {"patternProperties": {}}, root={})
