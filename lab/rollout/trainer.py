"""SharedPrefixTrainer: TRL's GRPOTrainer, computing each prompt once for all its answers.

Three of TRL's methods are replaced, each by one that falls back to TRL's where it does not apply: generation, the
tokens' log-probabilities, and the cutting of a generation batch into micro-batches. Loss, rewards, advantages,
metrics and checkpoints are TRL's. `tests/rollout/test_trl.py` fails when a TRL release changes what is replaced.
"""

import logging
from collections.abc import Callable
from types import MethodType

import torch
from accelerate.utils import is_peft_model
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled
from trl import GRPOTrainer
from trl.models import unwrap_model_for_generation
from trl.trainer.utils import maybe_gather_lm_head_ctx

from lab.rollout import attention
from lab.rollout.attention import NotCoveredError, PackedBatch
from lab.rollout.generation import NO_MASK, generate
from lab.rollout.layout import Layout
from lab.rollout.logprobs import TokenLogProbs
from lab.rollout.sampling import Sampling

logger = logging.getLogger(__name__)

TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.5, torch.float16: 0.1}  # of a log-probability, both ways computed


class SharedPrefixTrainer(GRPOTrainer):
    """A GRPOTrainer whose prompts are computed once per group. Takes GRPOTrainer's arguments.

    `paths` says what computes "generation" and "update": "shared prefix", or "TRL: " and the reason. `ended`, where it
    is set, is called at each step of generation with the dataset rows and the tokens of the answers that just ended.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.paths = {"generation": "shared prefix", "update": "shared prefix"}
        self._agreed = False
        self.ended: Callable[[list[tuple[dict, list[int]]]], None] | None = None
        self.answering: list[dict] = []  # the dataset's rows that are being answered
        self._silent: torch.Tensor | None = None  # rows of the present micro-batch that cannot change a weight
        if reason := _why_not(self):
            self._give_up(reason)
            return
        attention.register()
        for model in filter(None, (self.model, self.ref_model)):
            model = self.accelerator.unwrap_model(model)
            model = model.get_base_model() if is_peft_model(model) else model
            model.set_attn_implementation(attention.NAME)
            add_packed_log_probs(model, self.temperature)
        if reason := _why_not_generate(self):
            self._give_up(reason, "generation")

    def _give_up(self, reason: str, *parts: str) -> None:
        """TRL's own path from here on, for `parts` or for all; told once."""
        for part in parts or self.paths:
            if self.shares(part):
                self.paths[part] = f"TRL: {reason}"
        if self.accelerator.is_main_process:
            logger.warning("prompts are not shared in %s: %s", " and ".join(parts or self.paths), reason)

    def shares(self, part: str) -> bool:
        return self.paths[part] == "shared prefix"

    # ---- generation

    def _generate_and_score_completions(self, inputs):
        self.answering = inputs
        return super()._generate_and_score_completions(inputs)

    def _generate_single_turn(self, prompt_ids, images, multimodal_fields, num_generations, has_tool_images=False):
        arguments = (prompt_ids, images, multimodal_fields, num_generations, has_tool_images)
        self._check_agreement(prompt_ids)
        if not self.shares("generation") or images is not None or multimodal_fields:
            return super()._generate_single_turn(*arguments)
        sampling = Sampling(
            self.temperature, self.top_k or 0, self.top_p, self.min_p, greedy=not self.generation_config.do_sample
        )
        # All answers of a generation batch are written together, and leave as they end: a step costs what the answers
        # cost that are still there, in whatever order they stand, so that none would be better than this one.
        order: dict[tuple, list[int]] = {}
        for row, ids in enumerate(prompt_ids):
            order.setdefault(tuple(ids), []).append(row)
        rows = [row for rows in order.values() for row in rows]  # of the answers, in the order that they come in

        def ended(answers: list[tuple[int, list[int]]]) -> None:
            self.ended([(self.answering[rows[place]], ids) for place, ids in answers])

        with unwrap_model_for_generation(
            self.model_wrapped,
            self.accelerator,
            gather_deepspeed3_params=self.args.ds3_gather_for_generation,
            gradient_checkpointing_kwargs=self.args.gradient_checkpointing_kwargs,
        ) as model:
            try:
                answers = generate(
                    model,
                    list(order),
                    [len(rows) for rows in order.values()],
                    sampling,
                    self.eos_token_ids,
                    self.max_completion_length,
                    ended=ended if self.ended else None,
                )
            except NotCoveredError as error:
                self._give_up(str(error), "generation")
        if not self.shares("generation"):
            return super()._generate_single_turn(*arguments)
        completion_ids: list = [None] * len(prompt_ids)
        for row, ids in zip(rows, answers, strict=True):
            completion_ids[row] = ids
        return completion_ids, None

    def _check_agreement(self, prompt_ids) -> None:
        """Before the first generation: both ways of computing log-probabilities, on a few tokens, must agree.

        Architectures differ in what they do around attention and logits; rather than to list them, it is tried.
        """
        if self._agreed or not self.shares("update"):
            return
        self._agreed = True
        shown = [list(ids)[-64:] for ids in dict.fromkeys(map(tuple, prompt_ids))][:2]
        rows = [(ids, answer) for ids in shown for answer in (ids[:3], ids[1:3] or ids)]
        width, length = max(len(ids) for ids in shown), max(len(answer) for _, answer in rows)
        ids = torch.zeros(len(rows), width + length, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for i, (prompt, answer) in enumerate(rows):
            ids[i, width - len(prompt) : width + len(answer)] = torch.tensor(prompt + answer)
            mask[i, width - len(prompt) : width + len(answer)] = 1
        ids, mask = ids.to(self.accelerator.device), mask.to(self.accelerator.device)
        with torch.no_grad():
            theirs, _, _ = super()._get_per_token_logps_and_entropies(self.model, ids, mask, length)
            ours, _, _ = self._get_per_token_logps_and_entropies(self.model, ids, mask, length)
        difference = self.accelerator.gather((ours - theirs).abs().max()).max().item()  # all decide alike
        if not difference <= TOLERANCE[torch.bfloat16 if self.args.bf16 else self.model.dtype]:
            self._give_up(f"it gives this model's log-probabilities with a difference of {difference:.2g}")

    # ---- update

    def _prepare_inputs(self, generation_batch):
        before = self._buffered_inputs
        inputs = super()._prepare_inputs(generation_batch)
        if self._buffered_inputs is before or not self.shares("update"):
            return inputs
        # TRL has shuffled the rows; a prompt is computed once for each micro-batch in which it has rows
        self._buffered_inputs = regrouped(self._buffered_inputs)
        return self._buffered_inputs[self._step % self.args.steps_per_generation]

    def _compute_loss(self, model, inputs):
        if self.shares("update") and self._only_advantages_matter():
            advantages = inputs["advantages"]
            self._silent = (advantages if advantages.dim() == 1 else advantages.any(dim=1)) == 0
            self._old = inputs.get("old_per_token_logps")
        try:
            return super()._compute_loss(model, inputs)
        finally:
            self._silent = None

    def _only_advantages_matter(self) -> bool:
        """Whether a row with advantage 0 has gradient 0: no KL term, no bonus on and no selection by entropy."""
        return self.beta == 0.0 and not self._entropy_bonus_enabled and self.top_entropy_quantile >= 1.0

    def _get_per_token_logps_and_entropies(
        self, model, input_ids, attention_mask, logits_to_keep, batch_size=None, compute_entropy=False, **others
    ):
        given = {name: value for name, value in others.items() if value is not None and value is not False}
        if not self.shares("update") or given:
            return super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy, **others
            )
        size, found = batch_size or len(input_ids), []
        try:
            for begin in range(0, len(input_ids), size):
                part = slice(begin, begin + size)
                found.append(self._packed_log_probs(model, input_ids[part], attention_mask[part], logits_to_keep))
        except NotCoveredError as error:
            self._give_up(str(error))
            return super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy, **others
            )
        logps, entropies = (torch.cat(parts) for parts in zip(*found, strict=True))
        return logps, entropies if compute_entropy else None, None

    def _packed_log_probs(self, model, input_ids, attention_mask, width) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probabilities and entropies (B, width) of the answers' tokens, 0 where there are none.

        Rows that cannot change a weight are left out: their log-probabilities are the old ones, so that their ratio is
        1, and their entropies the mean of the others, so that the batch's mean is that of the tokens trained on.
        """
        prompts, answers, rows = _split(input_ids, attention_mask, width, self._silent)
        silent = not answers
        if silent:  # still one pass forward and backward: other processes may have rows, and wait for this one's
            prompt = int(input_ids[0, -width - 1])
            prompts, answers, rows = {(prompt,): [0]}, [[int(input_ids[0, -width])]], [0]
        prompt_of = [index for index, members in enumerate(prompts.values()) for _ in members]
        layout = Layout(list(prompts), answers, prompt_of, input_ids.device)
        with self.accelerator.autocast():
            out = model(
                input_ids=layout.input_ids,
                position_ids=layout.position_ids,
                attention_mask=NO_MASK.to(input_ids.device),
                shared_prefix=PackedBatch(layout),
            )
        place = _cells(rows, answers, width, input_ids.device)
        mask = attention_mask[:, -width:]
        logps = torch.zeros(mask.shape, device=mask.device)
        if self._silent is not None and self._old is not None:
            logps = torch.where(self._silent[:, None], self._old, logps).float()
        if silent:
            return logps + 0 * out["log_probs"].sum(), torch.full_like(logps, torch.nan)
        logps = logps.flatten().index_put((place,), out["log_probs"]).view(mask.shape)
        entropies = mask * out["entropy"].detach().mean()
        return logps, entropies.flatten().index_put((place,), out["entropy"]).view(mask.shape)


def add_packed_log_probs(model, temperature: float) -> None:
    """`model(..., shared_prefix=PackedBatch(layout))` returns {"log_probs", "entropy"} of the answers' tokens, (S,).

    Inside the model's own forward, so that the wrappers of DDP, DeepSpeed and mixed precision see one call.
    """
    plain = model.forward

    def forward(self, *args, shared_prefix=None, **kwargs):
        if type(shared_prefix) is not PackedBatch:  # generation's are of other kinds
            return plain(*args, **kwargs, **({} if shared_prefix is None else {"shared_prefix": shared_prefix}))
        layout = shared_prefix.layout
        kwargs.pop("labels", None)  # PEFT hands it on, unset
        hidden = self.base_model(*args, use_cache=False, shared_prefix=shared_prefix, **kwargs).last_hidden_state
        head = self.get_output_embeddings()
        with maybe_gather_lm_head_ctx(head.weight, head.bias):
            found = TokenLogProbs.apply(hidden[0, layout.scored], head.weight, head.bias, layout.targets, temperature)
        return dict(zip(("log_probs", "entropy"), found, strict=True))

    model.forward = MethodType(forward, model)


def regrouped(batches: list[dict]) -> list[dict]:
    """Micro-batches with the same rows and sizes, but the rows of one prompt next to each other.

    Prompts keep the order in which they first come, so a shuffled batch gives a shuffled order of prompts.
    """
    first, size = batches[0], len(batches[0]["prompt_ids"])
    prompts = [tuple(ids) for batch in batches for ids in batch["prompt_ids"].tolist()]
    rank: dict[tuple, int] = {}
    order = sorted(range(len(prompts)), key=lambda row: rank.setdefault(prompts[row], len(rank)))
    index = torch.tensor(order, device=first["prompt_ids"].device)
    whole = {
        name: torch.cat([batch[name] for batch in batches])[index]
        for name, value in first.items()
        if isinstance(value, torch.Tensor) and value.dim() > 0
    }
    return [
        {name: whole[name][i * size : (i + 1) * size] if name in whole else value for name, value in batch.items()}
        for i, batch in enumerate(batches)
    ]


def _split(input_ids, attention_mask, width: int, silent) -> tuple[dict[tuple, list[int]], list[list[int]], list[int]]:
    """Distinct prompts with their rows, the rows' answers, and the rows themselves, all in the prompts' order.

    Rows without a token to score, and those that are `silent`, are left out.
    """
    begin = input_ids.shape[1] - width  # of the answers: prompts are padded before it, answers behind their end
    of_prompt, of_answer = attention_mask[:, :begin].sum(1).tolist(), attention_mask[:, begin:].sum(1).tolist()
    skipped = silent.tolist() if silent is not None else [False] * len(input_ids)
    prompts: dict[tuple, list[int]] = {}
    answers = {}
    for row, tokens in enumerate(input_ids.tolist()):
        if of_answer[row] and not skipped[row]:
            prompts.setdefault(tuple(tokens[begin - of_prompt[row] : begin]), []).append(row)
            answers[row] = tokens[begin : begin + of_answer[row]]
    rows = [row for members in prompts.values() for row in members]
    return prompts, [answers[row] for row in rows], rows


def _cells(rows: list[int], answers: list[list[int]], width: int, device) -> torch.Tensor:
    """The place of each answer token in the flattened (B, width) rectangle."""
    cells = [row * width + i for row, answer in zip(rows, answers, strict=True) for i in range(len(answer))]
    return torch.tensor(cells, device=device)


def _why_not(trainer: GRPOTrainer) -> str | None:
    """The reason why neither part can share prompts, known before training; None if both may."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    kind = model.config._attn_implementation
    reasons = {
        # A batch beyond the window would be noticed by one process, amid a forward pass that all must go through.
        "DeepSpeed ZeRO-3 with a sliding window": is_deepspeed_zero3_enabled() and _slides(model.config),
        "FSDP gathers weights module by module": trainer.is_fsdp_enabled,
        "the model takes images": trainer._is_vlm,
        f"the attention is {kind!r}, not 'sdpa'": kind != "sdpa",
        "the model does not take attention implementations": not getattr(model, "_supports_attention_backend", True),
        "rotary frequencies depend on the batch's longest sequence": attention.rotates_by_length(model.config),
        "the logits are softcapped": getattr(model.config, "final_logit_softcapping", None) is not None,
        "the head is cast to float32": trainer.args.cast_lm_head_to_fp32,
        "a mixture of experts balances its load": trainer.aux_loss_enabled,
    }
    return next((reason for reason, applies in reasons.items() if applies), None)


def _why_not_generate(trainer: GRPOTrainer) -> str | None:
    """The reason why generation is left to TRL; None if it need not be."""
    args = trainer.args
    reasons = {
        "vLLM generates": trainer.use_vllm,
        "transformers' continuous batching generates": trainer.use_transformers_continuous_batching,
        "a rollout function generates": trainer.rollout_func is not None,
        "repetition_penalty is set": trainer.repetition_penalty not in (None, 1.0),
        "generation_kwargs are set": bool(args.generation_kwargs),
        "cache_implementation is set": args.cache_implementation is not None,
        "ds3_gather_for_generation is false": is_deepspeed_zero3_enabled() and not args.ds3_gather_for_generation,
    }
    return next((reason for reason, applies in reasons.items() if applies), None)


def _slides(config) -> bool:
    return getattr(config, "sliding_window", None) is not None and getattr(config, "use_sliding_window", True)
