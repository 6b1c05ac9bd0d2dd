"""Export: a run's model as one folder that plain transformers loads, with a model card of its numbers."""

import shutil
import tempfile
from pathlib import Path

from lab.config import load_experiment
from lab.errors import UserError
from lab.kept import is_complete
from lab.locate import resolve
from lab.runs import Run, newest_checkpoint

BESIDE_WEIGHTS = ("config.json", "generation_config.json", "*.safetensors", "*.index.json")
TOKENIZER = ("*token*", "chat_template.jinja", "vocab*", "merges.txt")


def export(path: str | Path, to: str | Path, checkpoint: str = "", push: str = "") -> Path:
    """Writes the newest stage of the run in `path`, or its `checkpoint` ("grpo/checkpoint-40"), into the folder `to`.

    LoRA is merged, ZeRO's shards are put together in float32, on the CPU. `push` is a hub id to upload the folder to.
    Raises UserError where there is nothing to export or the folder is taken.
    """
    from lab.stages.saving import full_disk_told
    from lab.stages.training import quiet_libraries

    run, target = Run.open(path), Path(to).expanduser()
    source = _source(run, checkpoint)
    _check_free(target)
    with (
        full_disk_told(target, "export again"),
        tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as half,
    ):
        half = Path(half)
        with quiet_libraries():
            if (source / "adapter_config.json").is_file():
                _merge_adapter(run, source, half)
            elif any(source.glob("global_step*")):
                _gather_shards(run, source, half)
            else:
                resolve(source)  # refuses weights that are cut short
                _copy(source, half, BESIDE_WEIGHTS)
        _copy(source, half, TOKENIZER)
        for name in ("config.yaml", "provenance.json"):
            shutil.copy(run.path / name, half / f"lab_{name}")
        (half / "README.md").write_text(card(run, source), encoding="utf-8")
        half.chmod(0o755)
        half.rename(target)  # an empty folder of that name gives way
    if push:
        _push(target, push)
    return target


def _check_free(target: Path) -> None:
    """UserError where the new folder cannot be made, or would lie over something else."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        what = "exists and is not empty" if target.is_dir() else "is a file"
        raise UserError(f"{target} {what}: give a new folder, nothing is overwritten")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{target} cannot be made ({error.strerror}): give a folder that you may write to") from None


def _source(run: Run, checkpoint: str) -> Path:
    """The folder to export: the newest finished stage's, or the checkpoint asked for, if it is one and whole."""
    if not checkpoint:
        if newest := newest_checkpoint(run.path):
            return newest
        raise UserError(
            f"{run.path} has no finished training stage to export: `lab resume` it, or give --checkpoint with one of "
            f"its own ({_checkpoints(run)})"
        )
    source = run.path / checkpoint
    weights = any((source / name).is_file() for name in ("config.json", "adapter_config.json"))
    if not weights or run.path.resolve() not in source.resolve().parents:
        raise UserError(f"{run.path} has no checkpoint {checkpoint!r}: it has {_checkpoints(run)}")
    if source.name.startswith("checkpoint-") and not is_complete(source):
        raise UserError(f"{source} was not saved to its end: export another ({_checkpoints(run)}), or `lab resume`")
    return source


def _checkpoints(run: Run) -> str:
    """The run's whole checkpoints, in words."""
    whole = sorted(str(p.relative_to(run.path)) for p in run.path.rglob("checkpoint-*") if is_complete(p))
    return ", ".join(whole) or "no checkpoints"


def _copy(source: Path, target: Path, patterns: tuple[str, ...]) -> None:
    for pattern in patterns:
        for file in source.glob(pattern):
            shutil.copy(file, target / file.name)


def _merge_adapter(run: Run, source: Path, target: Path) -> None:
    from peft import PeftModel

    from lab.checkpoints import load_model

    settings = load_experiment(str(run.path / "config.yaml")).model
    began = run.provenance["checkpoint"]["path"]
    starts = [run.path / "sft"] if source.parent.name == "grpo" and (run.path / "sft" / "config.json").is_file() else []
    trust = {"trust_remote_code": settings.trust_remote_code, "allow_pickle": settings.allow_pickle}
    base = load_model((starts or [began])[0], dtype="float32", **trust)
    PeftModel.from_pretrained(base, source).merge_and_unload().save_pretrained(target)


def _gather_shards(run: Run, source: Path, target: Path) -> None:
    """DeepSpeed's own conversion, into the architecture that lies beside the shards."""
    from accelerate import init_empty_weights
    from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint
    from transformers import AutoConfig, AutoModelForCausalLM

    trust = load_experiment(str(run.path / "config.yaml")).model.trust_remote_code
    weights = get_fp32_state_dict_from_zero_checkpoint(str(source))
    with init_empty_weights():
        config = AutoConfig.from_pretrained(source, trust_remote_code=trust)
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=trust)
    model.load_state_dict(weights, assign=True, strict=False)  # tied weights are not in the shards twice
    model.tie_weights()
    empty = [name for name, parameter in model.named_parameters() if parameter.is_meta]
    if empty:
        raise UserError(
            f"the shards of {source} lack {len(empty)} weights, such as {empty[0]}: the checkpoint is broken"
        )
    model.float().save_pretrained(target)
    _copy(source, target, ("generation_config.json",))


def card(run: Run, source: Path) -> str:
    """The model card: where the model comes from, its numbers with their intervals, and how to get them again."""
    from lab.evidence.report import table

    summary, facts = run.summary, run.provenance
    started = Path(facts["checkpoint"]["path"]).name
    stage = source.relative_to(run.path).parts[0]
    finished = {name: s for name, s in summary["stages"].items() if "accuracy" in s}
    numbers = table(summary | {"stages": finished}) if finished else "The run had not come to an evaluation yet."
    partial = "" if source.name == stage else f"\nThese weights are those of `{source.relative_to(run.path)}`.\n"
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    tasks = "\n".join(f"- {name}: sha256 {entry['sha256']}" for name, entry in facts["tasks"].items())
    return f"""---
library_name: transformers
pipeline_tag: text-generation
tags: [reasoning, {stage}]
---
# {summary["experiment"]}

Trained from `{started}` on {summary["task"]} with {stage.upper()}, seed {summary["seed"]}.
{partial}
```
{numbers}
```

Intervals are 95 %. The engine was {facts.get("engine", "one process")}, on {facts["processes"]} process(es).

## Again

The resolved experiment is `lab_config.yaml`; `lab run lab_config.yaml` repeats it. Tasks:

{tasks}

Checkpoint: sha256 {facts["checkpoint"]["sha256"]}. Prompts: {facts["renderer"]}. {versions}.
"""


def _push(folder: Path, repository: str) -> None:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

    try:
        api = HfApi()
        api.create_repo(repository, exist_ok=True)
        api.upload_folder(folder_path=folder, repo_id=repository)
    except (HTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled, OSError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise UserError(
            f"{folder} was written, but not uploaded to {repository!r} ({said}): where the hub can be reached, run "
            f"`hf auth login`, then `hf upload {repository} {folder}`"
        ) from error
