"""lab-hf against lm-eval's own hf backend: the same greedy text; samples that the batch size cannot change."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.errors import UserError

PROMPTS = ["max 1 7 3 2", "max 5", "max 9 9 9 1 max 2 4 4 3", "a", "max 3 3"]


@pytest.fixture(scope="module")
def babbling(tiny, tiny_renderer, tmp_path_factory):
    """The folder of a model with large random weights: it writes much, and another text for every prompt."""
    import torch

    from lab.checkpoints import load_model

    torch.manual_seed(0)
    model = load_model(tiny)
    for weight in model.parameters():
        if weight.dim() == 2:
            torch.nn.init.normal_(weight, std=0.15)
    folder = tmp_path_factory.mktemp("babbling")
    model.save_pretrained(folder)
    tiny_renderer.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def backend(babbling):
    import torch

    from lab.lm_eval_backend import LabHF

    made = {}

    def build(kind, batch_size=4, seed=0):
        from lm_eval.models.huggingface import HFLM

        torch.manual_seed(seed)
        key = (kind, batch_size, seed)
        if key not in made:
            cls = {"hf": HFLM, "lab-hf": LabHF}[kind]
            made[key] = cls(pretrained=str(babbling), device="cpu", batch_size=batch_size)
        return made[key]

    return build


def requests(prompts, repeats=1, **settings):
    from lm_eval.api.instance import Instance

    settings = {"until": [], "max_gen_toks": 12, "do_sample": False, **settings}
    return [
        Instance("generate_until", doc={}, arguments=(prompt, dict(settings)), idx=0)
        for prompt in prompts
        for _ in range(repeats)
    ]


SAMPLED = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}


def test_greedy_text_is_that_of_the_hf_backend_at_any_batch_size(backend):
    lm = backend("lab-hf")
    assert lm.why_not == ""  # else both would be the hf backend
    rendered = [lm.apply_chat_template([{"role": "user", "content": text}]) for text in PROMPTS] + PROMPTS
    theirs = backend("hf").generate_until(requests(rendered))
    assert len(set(theirs)) > 3
    for size in (1, 4, 32):
        assert backend("lab-hf", size).generate_until(requests(rendered)) == theirs


def test_samples_do_not_depend_on_the_batch_size_and_do_on_the_seed(backend):
    asked = requests(PROMPTS, repeats=6, **SAMPLED)
    answers = [backend("lab-hf", size).generate_until(asked) for size in (1, 4, 32)]
    assert answers[0] == answers[1] == answers[2]
    assert len(set(answers[0][:6])) > 2  # the repeats of one prompt are different answers
    assert answers[0] != backend("lab-hf", 4, seed=1).generate_until(asked)
    fewer = backend("lab-hf", 4).generate_until(requests(PROMPTS[2:], repeats=6, **SAMPLED))
    assert fewer == answers[0][12:]  # nor on what else is asked


def test_portions_bound_what_is_held_and_change_no_answer(backend, monkeypatch):
    from lab import lm_eval_backend

    asked = requests(PROMPTS, repeats=6, **SAMPLED)
    lm, held = backend("lab-hf", 4), []
    whole = lm.generate_until(asked)

    def watched(*arguments, noise, **options):
        held.append(noise.numel())
        return generate(*arguments, noise=noise, **options)

    generate = lm_eval_backend.generate
    monkeypatch.setattr(lm_eval_backend, "generate", watched)
    monkeypatch.setattr(lm_eval_backend, "CELLS", 100)
    monkeypatch.setattr(lm_eval_backend, "FULL", 2)
    assert lm.generate_until(asked) == whole
    assert len(held) > 3 and sum(held) == 30 * 12 and max(held) <= 100


def test_answers_too_long_for_the_model_are_one_sentence_before_any_is_written(backend, monkeypatch):
    from lab import lm_eval_backend

    monkeypatch.setattr(lm_eval_backend, "generate", None)
    with pytest.raises(UserError, match="leave no room for a prompt, the model has .* positions"):
        backend("lab-hf").generate_until(requests(PROMPTS) + requests(PROMPTS, max_gen_toks=10**6))


def test_a_prompt_that_is_too_long_loses_its_beginning_and_that_is_said(backend, capsys):
    long = "7" * 2000 + PROMPTS[0]
    answers = backend("lab-hf").generate_until(requests([long, PROMPTS[1]]))
    assert "1 of 2 prompts lose their beginning beyond 1012 tokens" in capsys.readouterr().out
    assert answers == backend("hf").generate_until(requests([long, PROMPTS[1]]))


def test_it_says_which_answers_were_cut_at_the_limit(backend):
    asked = requests(PROMPTS, repeats=6, **SAMPLED)
    lm = backend("lab-hf", 16)
    answers, longer = (
        lm.generate_until(asked),
        lm.generate_until(requests(PROMPTS, repeats=6, **SAMPLED, max_gen_toks=13)),
    )
    grown = [text != more for text, more in zip(answers, longer)]
    assert any(grown) and not all(grown)
    assert all(answer.finished is not more for answer, more in zip(answers, grown) if more)


def test_samples_follow_the_settings(backend):
    lm = backend("lab-hf", 64)
    greedy = lm.generate_until(requests(PROMPTS[:1]))
    narrow = lm.generate_until(requests(PROMPTS[:1], repeats=20, **{**SAMPLED, "top_k": 1}))
    assert set(narrow) == set(greedy)


def test_a_stop_string_ends_its_own_row_alone(backend):
    whole = backend("lab-hf").generate_until(requests(PROMPTS, repeats=4, **SAMPLED))
    stop = max("0123456789", key=lambda digit: sum(digit in text for text in whole))
    cut = backend("lab-hf").generate_until(requests(PROMPTS, repeats=4, **SAMPLED, until=[stop]))
    assert cut == [text.split(stop)[0] for text in whole] and cut != whole


def test_what_is_not_covered_is_left_to_the_hf_backend(backend, capsys):
    asked = requests(PROMPTS, repetition_penalty=1.3)
    assert backend("lab-hf").generate_until(asked) == backend("hf").generate_until(asked)
    assert "because they ask for a repetition penalty" in capsys.readouterr().out + capsys.readouterr().err


@pytest.mark.slow
def test_lm_evals_own_command_knows_it_through_the_launcher(babbling, tmp_path):
    from lab.lm_eval_path import write_yamls

    command = [
        sys.executable,
        "-m",
        "lab.lm_eval_backend",
        "run",
        "--model",
        "lab-hf",
        "--limit",
        "8",
        "--device",
        "cpu",
    ]
    command += ["--model_args", f"pretrained={babbling}", "--include_path", str(write_yamls(folder=tmp_path / "y"))]
    command += ["--tasks", "lab_digits", "--apply_chat_template", "--batch_size", "4"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "lab-hf ({'pretrained'" in done.stdout and "accuracy" in done.stdout
