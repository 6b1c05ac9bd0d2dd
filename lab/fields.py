"""The fields of TRL's, transformers' and peft's configuration classes, read from their source without importing them.

Importing `trl.GRPOConfig` costs 6 to 15 seconds; reading its source costs a fifth of one, and cannot disagree with the
installed version.
"""

import ast
import functools
import importlib.util
import typing
from pathlib import Path

# package, file, class: later ones override earlier ones, as the classes inherit
_ARGUMENTS = ("transformers", "training_args.py", "TrainingArguments")
_BASE = ("trl", "trainer/base_config.py", "_BaseConfig")
CLASSES = {
    "sft": (_ARGUMENTS, _BASE, ("trl", "trainer/sft_config.py", "SFTConfig")),
    "grpo": (_ARGUMENTS, _BASE, ("trl", "trainer/grpo_config.py", "GRPOConfig")),
    "lora": (("peft", "config.py", "PeftConfig"), ("peft", "tuners/lora/config.py", "LoraConfig")),
}

# Fields that TRL declares as any text and refuses only once a model is loaded, or never.
CHOICES = {
    "sft": {"loss_type": typing.Literal["nll", "dft"]},
    "grpo": {
        "loss_type": typing.Literal["grpo", "dapo", "dr_grpo", "bnpo", "cispo", "sapo", "luspo", "vespo"],
        "scale_rewards": typing.Literal["group", "batch", "none"] | bool,
        "importance_sampling_level": typing.Literal["token", "sequence"],
        "multi_objective_aggregation": typing.Literal["sum_then_normalize", "normalize_then_sum"],
        "vllm_mode": typing.Literal["server", "colocate"],
    },
}


@functools.cache
def library_fields(section: str) -> dict[str, typing.Any]:
    """Field name → type for "sft" (trl.SFTConfig), "grpo" (trl.GRPOConfig) or "lora" (peft.LoraConfig)."""
    fields = {}
    for package, file, name in CLASSES[section]:
        fields |= _class_fields(package, file, name)
    return fields | CHOICES.get(section, {})


@functools.cache
def _class_fields(package: str, file: str, name: str) -> dict[str, typing.Any]:
    folder = Path(importlib.util.find_spec(package).submodule_search_locations[0])
    tree = ast.parse((folder / file).read_text())
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    return {
        node.target.id: _type(node.annotation)
        for node in body
        if isinstance(node, ast.AnnAssign) and "init=False" not in ast.unparse(node).replace(" ", "")
    }


class _Names(dict):
    """What an annotation may name. Enums and classes of the libraries are written as text in a YAML file."""

    def __missing__(self, name):
        return str


def _type(annotation: ast.expr):
    names = _Names({t.__name__: t for t in (int, float, str, bool, list, dict, tuple, set, type)})
    names |= {"None": None, "Any": typing.Any, "Literal": typing.Literal, "Optional": typing.Optional}
    names |= {"Union": typing.Union, "Callable": str, "__builtins__": {}}
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    try:
        return eval(compile(ast.Expression(annotation), "<annotation>", "eval"), names)
    except TypeError:  # a library's class that takes parameters: leave its check to the library
        return typing.Any
