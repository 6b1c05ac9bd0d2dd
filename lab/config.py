"""Experiment: one YAML file with dotted overrides, checked in full before anything heavy is imported or loaded."""

import dataclasses
import importlib.util
import os
import typing
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from lab import locate, registry
from lab.defaults import SET_BY_THE_LAB, trainer_defaults
from lab.errors import UserError, nearest
from lab.experiment_file import SHORT_FORMS, apply, find_config, read
from lab.fields import library_fields
from lab.plan import BatchPlan, plan_batch
from lab.sandbox import check_name


@dataclass
class Model:
    """The pretrained checkpoint and how it is loaded and prompted."""

    checkpoint: str  # a hub id, a folder, a .gguf file or a packaged name (see `lab checkpoints`)
    mode: typing.Literal["chat", "completion"] = "chat"  # completion: for base models without a chat template
    dtype: typing.Literal["auto", "float32", "bfloat16", "float16"] = "auto"  # auto: bfloat16 where the device has it
    trust_remote_code: bool = False  # runs Python that comes with the checkpoint
    allow_pickle: bool = False  # loads pytorch_model.bin, which can run code
    chat_template_kwargs: dict = field(default_factory=dict)  # for example {enable_thinking: false}


@dataclass
class Sft:
    """Supervised fine-tuning on the task's demonstrations. `arguments` are fields of trl.SFTConfig."""

    demonstrations: int = 64  # rows shown
    examples_per_step: int | None = None  # rows of one optimizer step; 8 unless told
    arguments: dict = field(default_factory=dict)


@dataclass
class Grpo:
    """Reinforcement learning against the task's rewards. `arguments` are fields of trl.GRPOConfig."""

    prompts_per_step: int | None = None  # groups of one optimizer step; 8 unless told
    prompts: int | None = None  # distinct prompts to train on; as many as the steps take unless told, 1000 of epochs
    shared_prefix: bool = True  # compute each prompt once for all its answers; false: plain TRL
    dynamic_sampling: int = 0  # rounds of other prompts in place of groups that all earn the same (DAPO); 0: off
    drop_solved: int = 0  # visits without spread after which a prompt rests, for as many epochs; 0: never
    sync_gap: float = 0.15  # nats a token between vLLM's and the trainer's log-probabilities, above which the run stops
    unscorable_share: float = 0.05  # of the answers, above which the run stops and shows them
    reward_seconds: float = 2.5  # that scoring one answer may take; then it is unscorable
    reward_budget: float | None = None  # that scoring a batch may take; 60 unless told, or twice the longest call
    audit: typing.Literal["stop", "warn", "off"] = "stop"  # what a reward that fails its audit does to the run
    arguments: dict = field(default_factory=dict)


@dataclass
class Eval:
    """Held-out evaluation, the same rows before and after every stage."""

    n: int = 200  # rows
    split: typing.Literal["validation", "test"] = "test"  # held out; validation: to choose settings by
    samples: int = 1  # answers a row; more than one needs a temperature
    temperature: float = 0.0  # 0 is greedy
    seed: int = 0  # of the rows and of sampling: not the experiment's seed, so that seeds share their rows
    batch_size: int = 32  # rows generated at once
    max_tokens: int | None = None  # longest answer; the task's unless told
    base: bool = True  # evaluate the checkpoint before any training, too


@dataclass
class Report:
    """The page that a run leaves."""

    completions: int = 20  # rows whose answers are shown, from before and after training


@dataclass
class Experiment:
    """Everything a run needs: what `config.yaml` in a run folder holds."""

    name: str
    model: Model
    task: dict[str, float]  # task name or path → its share of the rows
    seed: int = 0
    output: str = "runs"
    sandbox: str = "auto"  # of model-written code: auto, landlock, wasm, unsafe, or an adapter as module:factory
    decontaminate: list[str] = field(default_factory=list)  # benchmarks whose questions training must not see
    lora: dict | None = None  # fields of peft.LoraConfig; none: every weight is trained
    sft: Sft | None = None
    grpo: Grpo | None = None
    eval: Eval = field(default_factory=Eval)
    report: Report = field(default_factory=Report)

    @property
    def stages(self) -> list[str]:
        """What `lab run` does, in order: "base" measures the checkpoint as it is, "sft" and "grpo" train it."""
        trained = [stage for stage in STAGES if getattr(self, stage) is not None]
        return (["base"] if self.eval.base or not trained else []) + trained

    def plan(self, section: str, processes: int = 1, max_tokens: int | None = None) -> BatchPlan:
        """How one optimizer step of "sft" or "grpo" is cut into processes, micro-batches and accumulation."""
        stage = getattr(self, section)
        given = stage.arguments
        grpo = section == "grpo"
        return plan_batch(
            section,
            stage.prompts_per_step if grpo else stage.examples_per_step,
            given["num_generations"] if grpo else 1,
            processes,
            given.get("per_device_train_batch_size"),
            given.get("gradient_accumulation_steps"),
            given.get("max_completion_length", max_tokens) if grpo else None,
        )

    def as_dict(self) -> dict:
        """The resolved experiment in the YAML file's own shape: loading it again gives an equal experiment."""
        shown = dataclasses.asdict(self)
        for section in ("sft", "grpo"):
            if shown[section] is not None:
                shown[section] |= shown[section].pop("arguments")
        return shown

    def as_yaml(self) -> str:
        return yaml.safe_dump(self.as_dict(), sort_keys=False, allow_unicode=True)


SECTIONS = {"model": Model, "sft": Sft, "grpo": Grpo, "eval": Eval, "report": Report}
STAGES = ("sft", "grpo")
FILES = {"accelerator_config", "chat_template_path", "deepspeed", "fsdp_config"}  # TRL's fields that may name a file
REPORTERS = ("clearml", "comet_ml", "mlflow", "swanlab", "tensorboard", "trackio", "wandb")  # packages of their name
LOWEST = {  # what a number may be; those of TRL that are not here it checks itself
    "seed": 0,
    "eval.n": 1,
    "eval.samples": 1,
    "eval.temperature": 0,
    "eval.seed": 0,
    "eval.batch_size": 1,
    "eval.max_tokens": 1,
    "report.completions": 0,
    "sft.demonstrations": 1,
    "sft.examples_per_step": 1,
    "sft.max_steps": -1,
    "grpo.prompts_per_step": 1,
    "grpo.prompts": 1,
    "grpo.max_steps": -1,
    "grpo.num_generations": 2,
    "grpo.max_completion_length": 1,
    "grpo.temperature": 0.01,
    "grpo.dynamic_sampling": 0,
    "grpo.drop_solved": 0,
    "grpo.sync_gap": 0,
    "grpo.unscorable_share": 0,
    "grpo.reward_seconds": 0.01,
    "grpo.reward_budget": 0.01,
}


def load_experiment(config: str, overrides: typing.Sequence[str] = ()) -> Experiment:
    """Reads `config` (a path, or a bundled name such as "smoke"), applies "section.key=value" overrides, checks all.

    Raises UserError with every mistake at once: unknown keys with the nearest name, wrong types, what is missing.
    """
    path = find_config(config)
    tree = read(path)
    for override in overrides:
        apply(tree, override)
    name = tree.setdefault("name", path.stem)
    if not isinstance(name, str) or Path(name).name != name or name in ("", ".."):
        raise UserError(f"{path.name}: name must be text without slashes, the name of a folder, got {name!r}")
    problems: list[str] = []
    experiment = _experiment(tree, problems)
    if problems:
        raise UserError("\n".join(f"{path.name}: {problem}" for problem in problems))
    _place(experiment)
    _check_numbers(experiment)
    _check_reporters(experiment)
    for stage in STAGES:
        if getattr(experiment, stage) is not None:
            experiment.plan(stage)
    check_name(experiment.sandbox)
    if experiment.eval.samples > 1 and experiment.eval.temperature == 0:
        raise UserError(
            f"eval.samples {experiment.eval.samples} with temperature 0 repeats one answer: set a temperature"
        )
    return experiment


def _experiment(tree: dict, problems: list[str]) -> Experiment | None:
    values = {}
    for key, value in tree.items():
        if key in SECTIONS:
            if isinstance(value, str) and key in SHORT_FORMS:
                value = {SHORT_FORMS[key]: value}
            if value is None and key in STAGES:
                continue
            values[key] = _section(key, {} if value is None else value, problems)
        elif key == "lora":
            values[key] = value and _checked("lora", value, library_fields("lora"), problems)
        elif key == "task":
            values[key] = _mixture(value, problems)
        else:
            known = {f.name: f.type for f in dataclasses.fields(Experiment)}
            values |= _checked("", {key: value}, known, problems)
    for key, example in {"model": "smollm2-135m-instruct", "task": "arithmetic"}.items():
        if key not in tree:
            problems.append(f"`{key}:` is missing: add for example `{key}: {example}`")
    return None if problems else Experiment(**values)


def _section(key: str, value, problems: list[str]):
    kind = SECTIONS[key]
    own = {name: hint for name, hint in typing.get_type_hints(kind).items() if name != "arguments"}
    if not isinstance(value, dict):
        problems.append(f"{key} must be a mapping of {', '.join(own)}, got {value!r:.60}")
        return None
    if key not in STAGES:
        checked = _checked(key, value, own, problems)
        if key == "model" and "checkpoint" not in checked:
            if "checkpoint" not in value:
                problems.append("model.checkpoint is missing: add for example `checkpoint: smollm2-135m-instruct`")
            return None
        return kind(**checked)
    checked = _checked(key, value, library_fields(key) | own, problems)
    defaults = trainer_defaults(key)
    if "num_train_epochs" in checked and "max_steps" in defaults:
        defaults["max_steps"] = -1  # or our own default would win, in silence
    arguments = defaults | {name: v for name, v in checked.items() if name not in own}
    return kind(**{name: v for name, v in checked.items() if name in own}, arguments=arguments)


def _checked(section: str, value, known: dict[str, typing.Any], problems: list[str]) -> dict:
    """The values of `value` in their declared types; what does not fit is told in `problems`."""
    dotted = f"{section}." if section else ""
    if not isinstance(value, dict):
        problems.append(f"{section} must be a mapping of fields, got {value!r:.60}")
        return {}
    result = {}
    for name, got in value.items():
        if name not in known:
            hint = nearest(str(name), known, f"known are {', '.join(sorted(known))}" if len(known) < 20 else "")
            hint = hint or f"`lab config {section}` lists every field"
            problems.append(f"unknown key {dotted}{name}: {hint}")
        elif section in STAGES and name in SET_BY_THE_LAB:
            problems.append(f"{dotted}{name} is set by the lab: {SET_BY_THE_LAB[name]}")
        else:
            try:
                # strict: true is no 1, and "5" is no 5: in a YAML file both are somebody's slip
                result[name] = TypeAdapter(known[name]).validate_python(got, strict=True)
            except ValidationError as error:
                allowed = error.errors()[0]["msg"].replace("Input should be ", "")
                problems.append(f"{dotted}{name} must be {allowed}, got {got!r:.60}")
    return result


def _mixture(value, problems: list[str]) -> dict[str, float]:
    if isinstance(value, str):
        return {value: 1.0}
    if isinstance(value, list) and value and all(isinstance(name, str) for name in value):
        return dict.fromkeys(value, 1.0 / len(value))
    if isinstance(value, dict) and value:
        shares = [share for share in value.values() if isinstance(share, int | float) and share > 0]
        if len(shares) == len(value):
            return {str(name): share / sum(shares) for name, share in value.items()}
    problems.append(
        f"task must be a name, a path, a list of them, or name: share with shares above 0, got {value!r:.80}"
    )
    return {}


def _place(experiment: Experiment) -> None:
    """Makes every path absolute: a run is resumed and looked at from any folder."""
    experiment.model.checkpoint = locate.placed(experiment.model.checkpoint)
    experiment.task = {registry.placed(name): share for name, share in experiment.task.items()}
    experiment.decontaminate = [registry.placed(name) for name in experiment.decontaminate]
    for stage in filter(None, (experiment.sft, experiment.grpo)):
        for name in FILES & stage.arguments.keys():
            value = stage.arguments[name]
            if isinstance(value, str) and os.path.exists(file := os.path.expanduser(value)):  # else text, or a hub id
                stage.arguments[name] = os.path.abspath(file)


def _check_numbers(experiment: Experiment) -> None:
    tree = experiment.as_dict()
    for name, lowest in LOWEST.items():
        section, _, key = name.rpartition(".")
        number = ((tree[section] if section else tree) or {}).get(key)
        if number is not None and not number >= lowest:  # .nan in YAML is above and below nothing
            raise UserError(f"{name} must be at least {lowest}, got {number}")
    if experiment.grpo and (share := experiment.grpo.unscorable_share) > 1:
        raise UserError(f"grpo.unscorable_share must be a share between 0 and 1, got {share}")
    for stage in STAGES:
        if (tree[stage] or {}).get("max_steps") == 0:
            raise UserError(f"{stage}.max_steps must be at least 1, or -1 for what num_train_epochs gives, got 0")


def _check_reporters(experiment: Experiment) -> None:
    for stage in filter(None, (experiment.sft, experiment.grpo)):
        named = stage.arguments["report_to"]
        for name in [named] if isinstance(named, str) else named or []:
            if name in REPORTERS and importlib.util.find_spec(name) is None:
                raise UserError(f"report_to names {name}, which is not installed: `pip install {name}` or leave it out")
