"""Renderer: messages → token ids, in one place for SFT, GRPO, evaluation and lm-eval."""

import hashlib
import inspect
import json
from collections.abc import Sequence
from functools import cached_property

from lab.errors import UserError
from lab.task import Message, Task

PROBE = [{"role": "user", "content": "Hello"}]


class Renderer:
    """Renders prompts and SFT targets with a tokenizer's chat template, or plainly in completion mode.

    tokenizer       a transformers tokenizer
    end_ids         the token ids that end the assistant's turn, the first one being what SFT teaches
    mode            "chat", or "completion" for base models: the messages' contents, one after the other
    template_kwargs passed to the chat template in every stage, for example {"enable_thinking": False}
    """

    def __init__(self, tokenizer, end_ids: Sequence[int], mode: str = "chat", template_kwargs: dict | None = None):
        self.tokenizer, self.end_ids, self.mode = tokenizer, tuple(end_ids), mode
        self.template_kwargs = template_kwargs or {}

    def prompt(self, messages: list[Message]) -> list[Message] | str:
        """What TRL and lm-eval are handed: the messages, or the plain text in completion mode."""
        return messages if self.mode == "chat" else "\n\n".join(m["content"] for m in messages) + "\n\n"

    def prompt_text(self, messages: list[Message]) -> str:
        """The prompt as the model sees it, with special tokens written out, up to where the assistant begins."""
        if self.mode == "completion":
            return self.prompt(messages)
        return self._template(messages, add_generation_prompt=True, tokenize=False)

    def prompt_ids(self, messages: list[Message]) -> list[int]:
        """The prompt's token ids, shape [T]: exactly those that TRL's trainers make from `prompt(messages)`."""
        if self.mode == "completion":
            return list(self.tokenizer(text=self.prompt(messages))["input_ids"])
        return list(self._template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"])

    def target(self, messages: list[Message], reply: list[Message]) -> tuple[list[int], list[int]]:
        """SFT's row: token ids [T] and a mask [T] that is 1 on what the assistant writes, its end of turn included.

        The assistant's tokens follow the prompt's as they do in generation, so that SFT trains the very sequences
        that GRPO samples. Several replies (tools, a user's second turn) are rendered as one growing conversation.
        """
        ids: list[int] = []
        mask: list[int] = []
        history = list(messages)
        for message in reply:
            if message["role"] == "assistant":
                prompt = self.prompt_ids(history)
                # What was rendered so far is kept where the template extends it, so that masks stay aligned.
                if prompt[: len(ids)] != ids:
                    raise UserError(
                        "this chat template rewrites earlier turns, so a conversation of several replies has no single "
                        "token sequence: demonstrate one reply a row, or choose a template that only appends"
                    )
                mask += [0] * (len(prompt) - len(ids))
                written = self.completion_ids(message["content"])
                ids, mask = prompt + written, mask + [1] * len(written)
            history.append(message)
        return ids, mask

    def completion_ids(self, text: str) -> list[int]:
        """What the model would have to write for `text`: its tokens and the end of turn.

        A thought that the template has opened is closed before a text that does not think: left open, the text would
        be part of it, and no answer.
        """
        if self.prefilled:
            text = text.removeprefix(self.prefilled)
            text = text if "</think>" in text else f"\n</think>\n\n{text}"
        return [*self.tokenizer(text=text, add_special_tokens=False)["input_ids"], self.end_ids[0]]

    @cached_property
    def prefilled(self) -> str:
        """What the template writes of the assistant's turn before the model does, such as "<think>\\n"."""
        if self.mode == "completion":
            return ""
        return opened_thought(self.prompt_text(PROBE))

    def completion_text(self, ids: Sequence[int]) -> str:
        """A completion as rewards read it: decoded, without special tokens."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True)

    def is_finished(self, ids: Sequence[int]) -> bool:
        """Whether a completion ended its turn rather than running into the token limit."""
        return bool(len(ids)) and int(ids[-1]) in self.end_ids

    @property
    def fingerprint(self) -> str:
        """Changes whenever prompts would render differently: template, mode, template arguments, rendered probe."""
        probe = self.prompt_ids(PROBE)
        parts = [self.tokenizer.chat_template, self.mode, self.template_kwargs, probe, list(self.end_ids)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]

    def _template(self, messages: list[Message], **options):
        from jinja2 import TemplateError

        try:
            return self.tokenizer.apply_chat_template(messages, **options, **self.template_kwargs)
        except TemplateError as error:
            roles = ", ".join(message["role"] for message in messages)
            raise UserError(
                f"the chat template refuses messages of the roles {roles} ({error}): write the task without what it "
                "refuses (a system message can go into the prompt), or choose another checkpoint"
            ) from error


def wording(task: Task) -> str:
    """Changes whenever a task says something else in its prompts, also where its file imports what it says."""
    prompt = task.prompt
    if not isinstance(prompt, str):
        try:
            prompt = inspect.getsource(prompt)
        except (OSError, TypeError):  # a callable object has no source of its own
            prompt = type(prompt).__name__
    return hashlib.sha256(json.dumps([task.system, prompt]).encode()).hexdigest()[:16]


def opened_thought(prompt: str) -> str:
    """The "<think>" with the white space after it in which a rendered prompt ends, or nothing."""
    _, opened, rest = prompt.rpartition("<think>")
    return opened + rest if opened and not rest.strip() else ""
