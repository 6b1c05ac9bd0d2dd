"""Experiments: typed, with every field of the libraries, and mistakes told in one go."""

import dataclasses

import pytest
from pydantic import TypeAdapter

from lab.config import load_experiment
from lab.errors import UserError
from lab.fields import CHOICES, library_fields


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return str(path)

    return write


BASE = "model: tiny\ntask: digits\nsft: {}\ngrpo:\n  learning_rate: 1e-5\n"


def test_numbers_without_a_point_are_numbers(write):
    assert load_experiment(write(BASE)).grpo.arguments["learning_rate"] == 1e-5


def test_no_is_a_word_and_false_is_false(write):
    experiment = load_experiment(write(BASE), ["grpo.save_strategy=no", "eval.base=false"])
    assert experiment.grpo.arguments["save_strategy"] == "no" and experiment.eval.base is False


def test_the_resolved_experiment_loads_to_itself(write):
    experiment = load_experiment(write(BASE + "lora: {r: 8}\n"), ["eval.n=7", "model.dtype=float32"])
    assert load_experiment(write(experiment.as_yaml())) == experiment
    assert (experiment.eval.n, experiment.model.dtype, experiment.name) == (7, "float32", "mine")


@pytest.mark.parametrize("section, class_name", [("sft", "SFTConfig"), ("grpo", "GRPOConfig")])
def test_fields_read_from_source_are_those_of_the_real_class(section, class_name):
    import trl

    real = {field.name: field for field in dataclasses.fields(getattr(trl, class_name)) if field.init}
    read = library_fields(section)
    assert set(read) == set(real)
    for name, field in real.items():
        if field.default is not dataclasses.MISSING and not hasattr(field.default, "value"):
            TypeAdapter(read[name]).validate_python(field.default)


def test_choices_are_those_that_the_trainers_know():
    import inspect
    import typing

    import trl

    for section, trainer in {"sft": trl.SFTTrainer, "grpo": trl.GRPOTrainer}.items():
        source = inspect.getsource(inspect.getmodule(trainer))
        for kind in CHOICES[section].values():
            literals = [kind, *typing.get_args(kind)]
            for choice in (c for k in literals for c in typing.get_args(k) if isinstance(c, str)):
                assert f'"{choice}"' in source, choice


def test_lora_fields_are_those_of_the_real_class():
    from peft import LoraConfig

    assert set(library_fields("lora")) >= {"r", "lora_alpha", "target_modules", "task_type"}
    assert set(library_fields("lora")) <= {field.name for field in dataclasses.fields(LoraConfig)}


@pytest.mark.parametrize(
    "override, said",
    [
        ("grpo.max_stepz=5", "unknown key grpo.max_stepz: did you mean 'max_steps'?"),
        ("grpo.max_steps=five", "grpo.max_steps must be a valid integer, got 'five'"),
        ("grpo.max_steps=true", "grpo.max_steps must be a valid integer, got True"),
        ("grpo.temperature=hot", "grpo.temperature must be a valid number"),
        ("grpo.loss_type=ppo", "grpo.loss_type must be 'grpo', 'dapo', 'dr_grpo'"),
        ("grpo.num_generations=1", "grpo.num_generations must be at least 2"),
        ("grpo.seed=3", "grpo.seed is set by the lab"),
        ("modl=x", "unknown key modl: did you mean 'model'?"),
        ("model.mode=chatty", "model.mode must be 'chat' or 'completion'"),
        ("eval.n=3.5", "eval.n must be a valid integer"),
        ("eval.samples=4", "repeats one answer"),
        ("grpo.max_steps=0", "grpo.max_steps must be at least 1, or -1 for what num_train_epochs gives, got 0"),
        ("grpo.temperature=0", "grpo.temperature must be at least 0.01, got 0"),
        ("sft.report_to=[none, swanlab]", "report_to names swanlab, which is not installed: `pip install swanlab`"),
        ("lora.rank=8", "unknown key lora.rank"),
        ("task=[]", "task must be a name"),
        ("sft.demonstrations=0", "sft.demonstrations must be at least 1"),
        ("eval.n=0", "eval.n must be at least 1, got 0"),
        ("eval.temperature=.nan", "eval.temperature must be at least 0, got nan"),
        ("grpo.unscorable_share=5.0", "grpo.unscorable_share must be a share between 0 and 1"),
        ("name=../elsewhere", "name must be text without slashes"),
        ("grpo", "section.key=value"),
        ("seed=[1", "not valid YAML"),
        ("grpo.per_device_train_batch_size=7", "no multiple of num_generations 8: make it 8 rows"),
    ],
)
def test_a_mistake_is_told_with_what_is_allowed(write, override, said):
    with pytest.raises(UserError) as error:
        load_experiment(write(BASE), [override])
    assert said in str(error.value)


def test_all_mistakes_at_once(write):
    with pytest.raises(UserError) as error:
        load_experiment(write("model: tiny\ntask: digits\nsft: {a: 1}\ngrpo: {b: 2}\neval: {n: x}\n"))
    assert [word in str(error.value) for word in ("sft.a", "grpo.b", "eval.n")] == [True] * 3


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "an experiment is a mapping"),
        ("model: [\n", "mine.yaml:2: not valid YAML"),
        ("model: tiny\nmodel: tiny\n", "'model' stands twice"),
        ("task: digits\n", "`model:` is missing"),
        ("model: {dtype: auto}\ntask: digits\n", "model.checkpoint is missing"),
    ],
)
def test_a_broken_file(write, text, said):
    with pytest.raises(UserError) as error:
        load_experiment(write(text))
    assert said in str(error.value)


def test_an_unknown_experiment_names_a_bundled_one():
    with pytest.raises(UserError, match="did you mean 'smoke'"):
        load_experiment("smok")


def test_mixtures_are_shares(write):
    assert load_experiment(write(BASE), ["task={digits: 3, largest: 1}"]).task == {"digits": 0.75, "largest": 0.25}


def test_epochs_count_where_no_steps_are_given(write):
    text = "model: tiny\ntask: digits\ngrpo: {num_train_epochs: 2}\n"
    assert load_experiment(write(text)).grpo.arguments["max_steps"] == -1
    assert load_experiment(write(text), ["grpo.max_steps=7"]).grpo.arguments["max_steps"] == 7


def test_a_task_file_is_known_by_its_absolute_path(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for task in ("sums.py", "[./sums.py]", "{sums.py: 2}"):
        assert list(load_experiment(write(BASE), [f"task={task}"]).task) == [str(tmp_path / "sums.py")]


def test_a_checkpoint_and_a_librarys_file_are_known_by_their_absolute_paths(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for made in ("own/model", "owner/taken", "tiny"):
        (tmp_path / made).mkdir(parents=True)
    (tmp_path / "ds.json").write_text("{}")
    for given, known in {
        "./own/model": f"{tmp_path}/own/model",
        "own/model": f"{tmp_path}/own/model",
        "own/../own/model.gguf": f"{tmp_path}/own/../own/model.gguf",
        "owner/name": f"{tmp_path}/owner/name",  # beside owner/taken it is a folder that is missing, no hub id
        "hub/name": "hub/name",
        "tiny": "tiny",
    }.items():
        for override in (f"model={given}", f"model={{checkpoint: {given}}}", f"model.checkpoint={given}"):
            assert load_experiment(write(BASE), [override]).model.checkpoint == known
    grpo = load_experiment(write(BASE), ["grpo.deepspeed=ds.json", "sft.chat_template_path=hub/name"])
    assert grpo.grpo.arguments["deepspeed"] == f"{tmp_path}/ds.json"
    assert grpo.sft.arguments["chat_template_path"] == "hub/name"


def test_a_checkpoint_of_another_type_is_told(write):
    with pytest.raises(UserError, match="model.checkpoint must be a valid string, got 3"):
        load_experiment(write(BASE), ["model={checkpoint: 3}"])
