"""One renderer: the prompt's tokens are TRL's own, and SFT trains exactly what generation would write."""

import copy

import pytest

from lab.config import Experiment, Model
from lab.errors import UserError
from lab.render import Renderer
from lab.response import Response
from lab.stages.pipeline import load_renderer

MESSAGES = [{"role": "user", "content": "max 1 2"}]

# Three shapes of template met in the wild: a default system message, a prefilled thought, several end tokens.
DEFAULT_SYSTEM = (
    "{% if messages[0]['role'] != 'system' %}<|begin|>system: be kind<|end|>{% endif %}"
    "{% for m in messages %}<|user|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
PREFILLED = (
    "{% for m in messages %}<|user|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
)


@pytest.fixture(params=["its own", "default system", "prefilled"])
def renderer(request, tiny_renderer):
    tokenizer = copy.deepcopy(tiny_renderer.tokenizer)
    if request.param != "its own":
        tokenizer.chat_template = {"default system": DEFAULT_SYSTEM, "prefilled": PREFILLED}[request.param]
    return Renderer(tokenizer, tiny_renderer.end_ids)


def test_prompt_ids_are_the_templates(renderer):
    text = renderer.prompt_text(MESSAGES)
    assert renderer.prompt_ids(MESSAGES) == renderer.tokenizer(text, add_special_tokens=False)["input_ids"]


def test_sft_continues_the_prompt_that_grpo_samples_from(renderer):
    ids, mask = renderer.target(MESSAGES, [{"role": "assistant", "content": "2"}])
    prompt = renderer.prompt_ids(MESSAGES)
    assert ids[: len(prompt)] == prompt and mask[: len(prompt)] == [0] * len(prompt)
    written = ids[len(prompt) :]
    assert mask[len(prompt) :] == [1] * len(written)
    assert written[-1] == renderer.end_ids[0] and renderer.is_finished(written)
    closed = "\n</think>\n\n" if renderer.prefilled else ""
    assert renderer.completion_text(written) == f"{closed}2"
    assert Response(renderer.completion_text(written), prefilled=renderer.prefilled).answer == "2"


def test_a_prefilled_thought_is_not_written_twice(renderer):
    if not renderer.prefilled:
        return
    assert renderer.prefilled == "<think>\n"
    ids, mask = renderer.target(MESSAGES, [{"role": "assistant", "content": "<think>\nhm</think>2"}])
    assert renderer.completion_text([i for i, m in zip(ids, mask) if m]) == "hm</think>2"


def test_a_template_that_refuses_the_messages_is_one_sentence(tiny_renderer):
    tokenizer = copy.deepcopy(tiny_renderer.tokenizer)
    tokenizer.chat_template = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    strict = Renderer(tokenizer, tiny_renderer.end_ids)
    with pytest.raises(UserError, match="of the roles system, user .no system.: write the task without"):
        strict.prompt_ids([{"role": "system", "content": "be kind"}, *MESSAGES])


def test_the_fingerprint_tells_templates_apart(tiny_renderer):
    other = copy.deepcopy(tiny_renderer.tokenizer)
    other.chat_template = DEFAULT_SYSTEM
    assert Renderer(other, tiny_renderer.end_ids).fingerprint != tiny_renderer.fingerprint


def test_several_replies_are_all_trained(tiny_renderer):
    reply = [
        {"role": "assistant", "content": "one"},
        {"role": "user", "content": "more"},
        {"role": "assistant", "content": "two"},
    ]
    ids, mask = tiny_renderer.target(MESSAGES, reply)
    trained = tiny_renderer.tokenizer.decode([i for i, m in zip(ids, mask) if m])
    assert trained == "one<|end|>two<|end|>"


def test_a_template_that_rewrites_history_is_refused(tiny_renderer):
    tokenizer = copy.deepcopy(tiny_renderer.tokenizer)
    tokenizer.chat_template = "{{ messages | length }}{% for m in messages %}{{ m['content'] }}<|end|>{% endfor %}"
    replies = [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]
    with pytest.raises(UserError, match="rewrites earlier turns"):
        Renderer(tokenizer, tiny_renderer.end_ids).target(MESSAGES, [*replies, {"role": "assistant", "content": "c"}])


def test_completion_mode_is_plain_text(tiny):
    experiment = Experiment("t", Model(str(tiny), mode="completion"), {"digits": 1.0})
    renderer = load_renderer(experiment, tiny)
    assert renderer.prompt(MESSAGES) == renderer.prompt_text(MESSAGES) == "max 1 2\n\n"
    assert "<|user|>" not in renderer.tokenizer.decode(renderer.prompt_ids(MESSAGES))


def test_trl_tokenises_the_same_prompt(renderer):
    from trl.data_utils import apply_chat_template

    row = apply_chat_template({"prompt": MESSAGES}, renderer.tokenizer)
    assert renderer.tokenizer(row["prompt"], add_special_tokens=False)["input_ids"] == renderer.prompt_ids(MESSAGES)
