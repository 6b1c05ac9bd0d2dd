"""One experiment is one experiment: on one process or two, accumulated, under DDP or ZeRO, to rounding.

Tolerances. A sum of float32 numbers in another order differs by about 1e-7 of its size, and so do losses and the
gradient's norm (ZeRO clips by a norm over its own shards: 2e-5). Adam divides by the root of the squared gradient, so
where a gradient is itself near rounding a weight may move by another fraction of the learning rate: the largest
difference measured was 1 % of what a weight can move (steps × learning rate), 5 % are allowed. A wrong reduction
(a mean where a sum was meant, a rank's rows left out, a gradient not averaged) shows as 10 % and more.
"""

import json
from collections import Counter

import pytest

ENGINES = {"cpu2": "ddp", "cpu2_zero2": "deepspeed zero-2", "cpu2_zero3": "deepspeed zero-3"}
LEARNING_RATE, STEPS = 1e-3, {"sft": 3, "grpo": 6}  # GRPO starts from SFT's weights: its steps come on top
SAME = ("loss", "reward", "accuracy", "zero_signal", "truncated", "tokens", "token_accuracy", "learning_rate")


def assert_same_training(run, reference):
    assert len(run.metrics) == len(reference.metrics) == 6
    for got, expected in zip(run.metrics, reference.metrics):
        assert (got["stage"], got["step"]) == (expected["stage"], expected["step"])
        for name in SAME:
            if expected.get(name) is not None:
                assert got[name] == pytest.approx(expected[name], rel=1e-4, abs=1e-5), (name, got["step"])
        assert got["grad_norm"] == pytest.approx(expected["grad_norm"], rel=1e-4)
    for stage, steps in STEPS.items():
        weights, expected = run.weights(stage), reference.weights(stage)
        assert weights.keys() == expected.keys()
        furthest = max((weights[name] - expected[name]).abs().max().item() for name in expected)
        assert furthest < 0.05 * LEARNING_RATE * steps


@pytest.mark.parametrize("preset", ENGINES)
def test_two_processes_train_as_one_does(trained, preset):
    run = trained(preset)
    assert run.provenance["engine"] == ENGINES[preset]
    assert run.provenance["processes"] == 2
    assert run.summary["stages"]["grpo"]["computed_by"]["update"] == "shared prefix"
    assert_same_training(run, trained("cpu1"))


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["cpu2", "cpu2_zero3"])
def test_shared_prefixes_change_nothing_on_two_processes(trained, preset):
    plain = trained(preset, "grpo.shared_prefix=false")
    assert plain.summary["stages"]["grpo"]["computed_by"]["update"].startswith("TRL")
    run = trained(preset)
    assert run.summary["stages"]["grpo"]["computed_by"]["update"] == "shared prefix"
    assert_same_training(run, plain)


@pytest.mark.slow
def test_answers_are_the_same_whether_weights_are_gathered_for_them_or_whole(accelerated, experiment, tmp_path):
    """Real generation from shared prefixes, under DDP and under ZeRO-3, from the same weights."""
    steps = []
    for preset in ("cpu2", "cpu2_zero3"):
        job = accelerated(preset, "grpo", experiment, f"output={tmp_path / preset}", "grpo.max_steps=1")
        assert job.returncode == 0, job.stderr[-3000:]
        (run,) = (tmp_path / preset).glob("*/*/")
        computed_by = json.loads((run / "summary.json").read_text())["stages"]["grpo"]["computed_by"]
        assert computed_by["generation"] == "shared prefix"
        first = json.loads((run / "metrics.jsonl").read_text().splitlines()[0])
        steps.append({name: first[name] for name in ("tokens", "num_tokens", "reward", "truncated")})
    assert steps[0] == steps[1]


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["cpu2", "cpu2_zero2"])
def test_two_processes_draw_the_prompts_that_one_does(trained, preset):
    """More rounds, prompts set aside, groups without spread on one rank only: the same batch, to the row."""
    overrides = ("grpo.dynamic_sampling=2", "grpo.drop_solved=1", "grpo.prompts=9")
    run, alone = trained(preset, *overrides), trained("cpu1", *overrides)
    assert_same_training(run, alone)
    sampled = [{k: v for k, v in m.items() if k.startswith("sampling/")} for m in run.metrics]
    assert sampled == [{k: v for k, v in m.items() if k.startswith("sampling/")} for m in alone.metrics]
    assert max(m.get("sampling/drawn", 0) for m in sampled) > 1 and max(m.get("sampling/hopeless", 0) for m in sampled)


@pytest.mark.slow
def test_accumulation_changes_nothing(trained):
    run = trained("cpu1", "sft.gradient_accumulation_steps=2", "grpo.gradient_accumulation_steps=2")
    assert_same_training(run, trained("cpu1"))


def test_the_tolerance_is_far_below_what_training_does(trained):
    run = trained("cpu1")
    before, after = run.weights("sft"), run.weights("grpo")
    assert max((after[name] - before[name]).abs().max().item() for name in before) > 0.5 * LEARNING_RATE * 3
    assert len({metrics["loss"] for metrics in run.metrics}) == 6


def test_each_answer_is_graded_once_on_the_rank_that_owns_it(trained):
    def graded(run):
        return [json.loads(line) for line in (run.output / "graded.jsonl").read_text().splitlines()]

    alone, shared = graded(trained("cpu1")), graded(trained("cpu2_zero3"))
    assert len(alone) == 3 * 4 * 4
    assert Counter((g["row"], g["text"]) for g in shared) == Counter((g["row"], g["text"]) for g in alone)
    assert Counter(g["rank"] for g in shared) == {0: 24, 1: 24}


def test_the_evaluation_of_two_processes_is_that_of_one(trained):
    alone, shared = trained("cpu1").summary["stages"], trained("cpu2").summary["stages"]
    for stage in ("sft", "grpo"):
        assert shared[stage]["n"] == 16
        assert shared[stage]["accuracy"] == alone[stage]["accuracy"]
        assert shared[stage]["mean_tokens"] == alone[stage]["mean_tokens"]


def test_a_zero3_result_loads_in_plain_transformers(trained):
    from transformers import AutoModelForCausalLM

    run = trained("cpu2_zero3")
    model, info = AutoModelForCausalLM.from_pretrained(run.path / "grpo", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert all(parameter.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("preset", [pytest.param("cpu2_zero2", marks=pytest.mark.slow), "cpu2_zero3"])
def test_shards_become_one_folder_without_an_accelerator(trained, lab, tmp_path, preset):
    import torch
    from safetensors.torch import load_file

    run = trained(preset)
    exported = lab("export", run.path, "--to", tmp_path / "model", "--checkpoint", "sft/trainer/checkpoint-3")
    assert exported.returncode == 0, exported.stderr
    weights, expected = load_file(tmp_path / "model" / "model.safetensors"), run.weights("sft")
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ENGINES)
def test_adapters_train_alike_and_are_merged_on_export(trained, lab, tmp_path, preset):
    import torch
    from safetensors.torch import load_file

    lora = ["lora.r=4", "lora.target_modules=all-linear"]
    run = trained(preset, *lora)
    assert_same_training(run, trained("cpu1", *lora))
    exported = lab("export", run.path, "--to", tmp_path / "model", "--checkpoint", "sft/trainer/checkpoint-3")
    assert exported.returncode == 0, exported.stderr
    weights, expected = load_file(tmp_path / "model" / "model.safetensors"), run.weights("sft")
    assert weights.keys() == expected.keys()
    assert all(torch.allclose(weights[name], expected[name], atol=1e-6) for name in expected)
