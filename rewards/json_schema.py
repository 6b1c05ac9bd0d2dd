"""json_schema: the answer is JSON that fits the row's schema."""

import json
import math
import re
from typing import Any

from lab import Score, reward

MAX_CHARACTERS = 100_000
MAX_DEPTH = 100
MAX_DIGITS = 300  # of an integer: every such one is within a float's range, which `multipleOf` needs
_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)\n?\s*```", re.DOTALL)


@reward(reads=["schema"], range=(0, 1), version="2", sees="answer", imports=["jsonschema"])
def json_matches(response, row):
    """1 when the answer region is one JSON value that fits row["schema"]; else 0.

    Reads row["schema"], a JSON schema or its text. The region's whole text counts, a single ```json fence around it
    aside. Refused as wrong: NaN and Infinity, an object with a repeated key, an integer over 300 digits, more than 100
    levels or 100,000 characters. `$ref` never leaves the schema; `format` is only an annotation, as the standard has
    it. Unscorable where the schema is no valid JSON schema (draft 2020-12 unless it says otherwise).
    Source: JSON Schema (json-schema.org), checked by the jsonschema package.
    """
    return judged(response, row["schema"])[0]


@reward(reads=["schema", "answer"], range=(0, 1), version="1", sees="answer", imports=["jsonschema"])
def json_equals(response, row):
    """1 when the answer fits row["schema"], as in `json_matches`, and equals row["answer"]; else 0.

    row["answer"] is a value or its JSON text (a null as "null"). Numbers and types are compared strictly: 1 is 1.0, but
    not true. Unscorable where the gold is no JSON, too. Source: as `json_matches`.
    """
    try:
        gold = strict_json(row["answer"]) if isinstance(row["answer"], str) else row["answer"]
    except ValueError as error:
        return Score(None, f"the gold is no JSON: {error!s:.100}")
    score, value = judged(response, row["schema"])
    if score.value != 1:
        return score
    return Score(1.0) if _typed(value) == _typed(gold) else Score(0.0, "another value than the gold")


def judged(response, schema) -> tuple[Score, Any]:
    """(the score of `response` against `schema`, the JSON value that it is where that is 1)."""
    import jsonschema
    import referencing

    try:
        schema = json.loads(schema) if isinstance(schema, str) else schema
        checker = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        checker.check_schema(schema)
    except (jsonschema.SchemaError, ValueError, TypeError, RecursionError) as error:
        return Score(None, f"the row's schema is not valid: {error!s:.100}"), None
    try:
        value = strict_json(response.answer or "")
    except ValueError as error:
        return Score(0.0, f"no JSON: {error!s:.100}"), None
    try:
        mistake = next(checker(schema, registry=referencing.Registry()).iter_errors(value), None)
    except (referencing.exceptions.Unresolvable, RecursionError) as error:
        return Score(None, f"the row's schema refers to what it does not hold: {error!s:.100}"), None
    if mistake:
        return Score(0.0, f"{mistake.json_path}: {mistake.message:.100}"), None
    return Score(1.0), value


def strict_json(text: str):
    """The JSON value that `text` is. Raises ValueError for anything else, bounded in size and depth."""
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"longer than {MAX_CHARACTERS} characters")
    if fenced := _FENCED.fullmatch(text.strip()):
        text = fenced[1]
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer, parse_float=_float
        )
    except RecursionError:
        raise ValueError("nested too deep") from None
    layer = [value]
    for _ in range(MAX_DEPTH):
        layer = [inner for outer in layer for inner in _inside(outer)]
        if not layer:
            return value
    raise ValueError(f"more than {MAX_DEPTH} levels")


def _inside(value) -> list:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _object(pairs):
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("an object with a repeated key")
    return dict(pairs)


def _constant(name):
    raise ValueError(f"{name} is no JSON")


def _integer(digits):
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"an integer of over {MAX_DIGITS} digits")
    return int(digits)


def _float(digits):
    if math.isinf(value := float(digits)):
        raise ValueError("a number too large")
    return value


def _typed(value):
    """`value` with its types beside it, because True == 1 in Python but not in JSON."""
    if isinstance(value, dict):
        return {key: _typed(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_typed(inner) for inner in value]
    return (isinstance(value, bool), value)
