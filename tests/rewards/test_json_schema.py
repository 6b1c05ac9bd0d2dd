import pytest

from lab import Response
from rewards.json_schema import json_equals, json_matches

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}


def score(text, schema=SCHEMA, recipe=json_matches, **row):
    reward = recipe()
    return reward.checked(reward.score(Response(text), {"schema": schema, **row})).value


@pytest.mark.parametrize("text", ['{"name": "Ada"}', '```json\n{"name": "Ada", "age": 36}\n```', ' {"name":"\u00e9"} '])
def test_right(text):
    assert score(text) == 1


@pytest.mark.parametrize(
    "text",
    ["", "Ada", '{"age": 3}', '{"name": 3}', '{"name": "Ada", "age": -1}', '{"name": "Ada", "age": 1.5}',
     '{"name": "Ada", "x": 1}', '{"name": "Ada"} {"name": "Ada"}', 'Here: {"name": "Ada"}',
     '{"name": "A", "name": "B"}', '{"name": NaN}', '{"name": "Ada", "age": ' + "9" * 5001 + "}",
     "[" * 100_000, '{"a":' * 3000, '"' * 99_999,
     '{"name": "\x00"}', '{"name": "x' + "y" * 1_000_000 + '"}', '\ud800', '"\\' * 40_000],
)  # fmt: skip
def test_wrong(text):
    assert score(text) == 0


def test_the_value_is_compared_strictly():
    anything = {}
    assert score('{"a": [1, true]}', anything, json_equals, answer={"a": [1, True]}) == 1
    assert score('{"a": [1.0, true]}', anything, json_equals, answer='{"a": [1, true]}') == 1
    assert score('{"a": [1, 1]}', anything, json_equals, answer={"a": [1, True]}) == 0
    assert score('{"name": 3}', SCHEMA, json_equals, answer={"name": 3}) == 0
    for no_gold in ("", "{", "NaN"):
        assert score("1", anything, json_equals, answer=no_gold) is None


def test_numbers_and_depth_are_bounded():
    anything = {}
    assert score("1e999", anything) == 0
    assert score("9" * 300, {"multipleOf": 0.5}) == 1
    assert score("9" * 400, {"multipleOf": 0.5}) == 0  # beyond a float, which jsonschema divides by
    assert score("[" * 101 + "]" * 101, anything) == 0


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "objct"},
        "{",
        {"$ref": "http://127.0.0.1:9/s.json"},
        {"$ref": "#"},
        {"pattern": "("},
        [],
        5,
        None,
        {"multipleOf": 0},
        {"$ref": "file:///etc/passwd"},
    ],
)
def test_a_bad_schema_is_unscorable(schema):
    assert score("{}", schema) is None
