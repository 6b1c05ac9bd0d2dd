"""Every public reward says what it reads, its range, and where its method comes from."""

import importlib
import re

import pytest

from lab.registry import reward_names
from lab.reward import Recipe

MODULES = [importlib.import_module(f"rewards.{name}") for name in reward_names()]
RECIPES = [
    value
    for module in MODULES
    for value in vars(module).values()
    if isinstance(value, Recipe) and value.__module__ == module.__name__
]


@pytest.mark.parametrize("recipe", RECIPES, ids=repr)
def test_a_reward_is_documented(recipe):
    said = recipe.__doc__
    assert re.search(r"Source: .{10}", said)
    for field in recipe.reads:
        assert f'row["{field}"]' in said, f"its docstring does not say that it reads {field}"
    for end in recipe.range:
        assert re.search(rf"(?<![\d.-]){end}(?![\d.]*\d)", said), f"it does not name {end}, an end of its range"
    others = [other.__doc__ for other in RECIPES if re.search(rf"\b{other.__name__}\b", said)]
    for parameter in recipe.parameters:
        explained = any(re.search(rf"\b{parameter}\b", text) for text in (said, *others))
        assert explained, f"neither its docstring nor one that it refers to explains {parameter}"
