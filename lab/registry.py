"""Registry: a name, a file path or an installed entry point → a Task or a Reward."""

import hashlib
import importlib
import importlib.util
import pkgutil
import sys
import traceback
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from lab.errors import UserError, nearest
from lab.reward import Recipe, Reward, as_reward
from lab.task import Task

TASKS, REWARDS = "reasoning_lab.tasks", "reasoning_lab.rewards"  # entry point groups of other packages


def task_names() -> list[str]:
    """Names of the bundled and the installed tasks."""
    return sorted({*_modules("tasks"), *(point.name for point in entry_points(group=TASKS))})


def reward_names() -> list[str]:
    """Names of the bundled and the installed reward modules."""
    return sorted({*_modules("rewards"), *(point.name for point in entry_points(group=REWARDS))})


def load_task(spec: str) -> Task:
    """The Task called `spec`, or the `task` of the file at that path. Raises UserError, never ImportError."""
    module = _module(spec, "task", "tasks", TASKS, task_names)
    task = module if isinstance(module, Task) else getattr(module, "task", None)
    if not isinstance(task, Task):
        raise UserError(f"{spec} defines no task: it needs a line `task = Task(rows=…, prompt=…, rewards=…)`")
    if not isinstance(module, ModuleType):  # an entry point may name the task itself
        module = sys.modules[next(point.module for point in entry_points(group=TASKS) if point.name == spec)]
    task.name = Path(module.__file__).stem if _is_file(spec) else spec
    task.source = module.__file__
    return task


def load_reward(spec: str) -> Reward:
    """A module of `rewards/` or a file (its first reward), or `module:function`, with default parameters.

    Any module that can be imported counts where its function is named. Raises UserError, never ImportError.
    """
    spec, _, name = spec.partition(":")
    module = _module(spec, "reward", "rewards", REWARDS, reward_names, anywhere=bool(name))
    if not isinstance(module, ModuleType):
        return as_reward(module)
    recipes = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, Recipe) and value.__module__ == module.__name__
    }
    if not name:
        if not recipes:
            raise UserError(f"{spec} defines no reward: put @reward(reads=[…]) above its function")
        return next(iter(recipes.values()))()
    if not hasattr(module, name):
        raise UserError(f"{spec} has no reward {name!r}: {nearest(name, recipes, 'it has ' + ', '.join(recipes))}")
    return as_reward(getattr(module, name))


def placed(spec: str) -> str:
    """A name as it is, a file by its absolute path, which holds from any folder."""
    return str(Path(spec).expanduser().resolve()) if _is_file(spec) else spec


def _is_file(spec: str) -> bool:
    return spec.endswith(".py") or "/" in spec


def load_file(path: str | Path) -> ModuleType:
    """Imports a Python file under a name that depends on its path alone, so that pickles of its functions resolve."""
    path = Path(path).expanduser().resolve()
    name = f"lab_file_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    if not path.is_file():
        raise UserError(f"there is no file {path}: give the path of a Python file, or a name (see `lab tasks`)")
    if path.suffix != ".py":
        raise UserError(f"{path} is no Python file: give one that ends in .py, or a name (see `lab tasks`)")
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))  # a file may import its neighbours
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        raise _explained(path, error) from error
    finally:
        sys.path.remove(str(path.parent))
    return module


def loaded_files() -> list[str]:
    """The files that `load_file` imported so far: a worker process imports them before it unpickles a reward."""
    return [module.__file__ for name, module in list(sys.modules.items()) if name.startswith("lab_file_")]


def _module(spec: str, kind: str, package: str, group: str, names, anywhere: bool = False):
    """The module, or what the entry point holds; `anywhere`: any module that can be imported, too."""
    if _is_file(spec):
        return load_file(spec)
    if spec in _modules(package):
        return importlib.import_module(f"{package}.{spec}")
    for point in entry_points(group=group):
        if point.name == spec:
            return _imported(spec, point.load)
    if (anywhere or (kind == "reward" and "." in spec)) and importlib.util.find_spec(spec.partition(".")[0]):
        return _imported(spec, lambda: importlib.import_module(spec))
    known = names()
    hint = nearest(spec, known, f"there are {', '.join(known)}, or give the path of a .py file")
    raise UserError(f"there is no {kind} {spec!r}: {hint}")


def _imported(spec: str, load):
    try:
        return load()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{spec} cannot be imported ({type(error).__name__}: {error}): mend it, or its name") from error


def _modules(package: str) -> list[str]:
    folders = importlib.import_module(package).__path__
    return [info.name for info in pkgutil.iter_modules(folders) if not info.name.startswith("_")]


def _explained(path: Path, error: BaseException) -> BaseException:
    if isinstance(error, UserError):
        return type(error)(f"{path.name}: {error}")
    if isinstance(error, SyntaxError):
        return UserError(f"{error.filename}:{error.lineno}: syntax error, {error.msg}: {(error.text or '').strip()}")
    if not isinstance(error, Exception):
        return error
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return UserError(f"{path}:{lines[-1] if lines else 1}: {type(error).__name__}: {error}")
