"""experiment_file: an experiment's YAML as a tree of plain values, with dotted overrides; nothing is checked here."""

import re
from pathlib import Path

import yaml

from lab.errors import UserError, nearest

BUNDLED = Path(__file__).resolve().parent.parent / "configs"
SHORT_FORMS = {"model": "checkpoint"}  # `model: NAME` stands for `model: {checkpoint: NAME}`


def find_config(config: str) -> Path:
    """The file that `config` names: a path first, then a bundled experiment."""
    for candidate in (Path(config).expanduser(), BUNDLED / config, BUNDLED / f"{config}.yaml"):
        if candidate.is_file():
            return candidate
    bundled = sorted(p.stem for p in BUNDLED.glob("*.yaml"))
    hint = nearest(Path(config).stem, bundled, f"bundled are {', '.join(bundled)}")
    raise UserError(f"there is no experiment file {config!r}: give the path of a YAML file; {hint}")


def read(path: Path) -> dict:
    """The file's mapping; UserError, with the line, where it is none."""
    try:
        tree = _parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    if not isinstance(tree, dict):
        raise UserError(f"{path}: an experiment is a mapping with at least `model:` and `task:`, got {tree!r:.40}")
    return tree


def apply(tree: dict, override: str) -> None:
    """Sets "section.key=value" in the tree; the value is read as YAML."""
    keys, equals, text = override.partition("=")
    if not equals or not keys:
        raise UserError(f"override {override!r}: write it as section.key=value, for example grpo.max_steps=20")
    value = _parse(text, f"override {keys}")
    first, *rest = keys.split(".")
    if rest and first in SHORT_FORMS and isinstance(tree.get(first), str):
        tree[first] = {SHORT_FORMS[first]: tree[first]}
    *parents, last = [first, *rest]
    for key in parents:
        if tree.get(key) is None:
            tree[key] = {}
        tree = tree[key]
        if not isinstance(tree, dict):
            raise UserError(f"override {override!r}: {key} is a value, not a section")
    tree[last] = value


class _Loader(yaml.SafeLoader):
    """YAML 1.1 reads 1e-5 as text and `no` as false, and lets a key appear twice: none is what anybody meant."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|True|TRUE|false|False|FALSE"), list("tTfF"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:\d[\d_]*\.?\d*|\.\d+)[eE][-+]?\d+"),
    list("-+.0123456789"),
)


def _mapping_without_duplicates(loader, node):
    mapping = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str | int | float | None):
            raise yaml.constructor.ConstructorError(problem=f"{key!r} is no key", problem_mark=key_node.start_mark)
        if key in mapping:
            raise yaml.constructor.ConstructorError(problem=f"{key!r} stands twice", problem_mark=key_node.start_mark)
        mapping[key] = loader.construct_object(value_node, deep=True)
    return mapping


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping_without_duplicates)


def _parse(text: str, where: str):
    try:
        return yaml.load(text, _Loader)  # a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise UserError(f"{where}{line}: not valid YAML: {getattr(error, 'problem', None) or error}") from None
