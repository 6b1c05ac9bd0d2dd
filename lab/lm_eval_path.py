"""The YAML files by which the stock lm-eval finds our tasks: `lm_eval run --include_path $(lab lm-eval-path) …`."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from lab.errors import UserError
from lab.packaged import cache_folder
from lab.registry import load_task, placed, task_names
from lab.runs import write_whole

PREFIX = "lab_"  # a task of a stock task's name would silently take its place
CLASS = "!function lab.lm_eval_task.LabTask"


def write_yamls(specs: Sequence[str] = (), folder: str | Path | None = None) -> Path:
    """Writes one YAML a task into a folder of the cache, and returns the folder.

    specs are task names or paths of task files, by default every bundled and installed task; each appears in lm-eval
    as lab_NAME. Raises UserError for what is no task, and where two have one name.
    """
    specs = list(dict.fromkeys(placed(spec) for spec in specs or task_names()))
    tasks: dict[str, str] = {}
    for spec in specs:
        name = PREFIX + load_task(spec).name
        if name in tasks:
            raise UserError(f"{tasks[name]} and {spec} would both be {name} in lm-eval: rename one of them")
        tasks[name] = spec
    digest = hashlib.sha256("\n".join(specs).encode()).hexdigest()[:12]
    folder = Path(folder) if folder else cache_folder().parent / "lm_eval" / digest
    folder.mkdir(parents=True, exist_ok=True)
    for name, spec in tasks.items():
        task, path = (json.dumps(text, ensure_ascii=False) for text in (name, spec))  # quoted as YAML, too, reads it
        text = f"task: {task}\nclass: {CLASS}\nmetadata: {{lab_task: {path}, version: 1}}\n"
        write_whole(folder / f"{name}.yaml", text)
    return folder
