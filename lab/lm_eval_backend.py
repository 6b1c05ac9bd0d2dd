"""lab-hf: lm-eval's hf backend with our generation, whose answers do not depend on the batch size.

lm-eval's command has no plug-in point for models, so this file is also a launcher of it:
`python -m lab.lm_eval_backend run --model lab-hf --model_args pretrained=FOLDER --batch_size 32 …`
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text
from tqdm import tqdm

from lab.errors import UserError
from lab.lm_eval_task import Answer
from lab.rollout import attention
from lab.rollout.attention import NotCoveredError
from lab.rollout.generation import generate, prefill
from lab.rollout.sampling import Sampling

UNDERSTOOD = {"do_sample", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "until", "max_gen_toks"}
TOP_K = 50  # transformers' own, where neither the request nor the checkpoint says another
LOOK_BACK = 8  # tokens beyond a stop string's own that are decoded to look for it
CELLS = 2**22  # tokens, each with 8 bytes of noise, for which there is room at once, or for FULL batches of answers
FULL = 8
AGREE = 0.05  # difference of two logits up to which they count as one: float32 differs by 1e-4, bfloat16 by 1e-2


@dataclass(frozen=True)
class Job:
    """One answer to be written: the request's place, its prompt, and which of the prompt's repeats it is."""

    place: int
    ids: tuple[int, ...]
    repeat: int


@register_model("lab-hf")
class LabHF(HFLM):
    """Each distinct prompt goes through the model once for all its repeats, finished answers leave the batch, stop
    strings are looked for a row at a time, and the noise of sampling is keyed by (seed, prompt, repeat).

    What the shared-prefix attention does not cover is left to the hf backend, with a word in the log.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.batch_size == "auto":  # the hf backend would try 64 × 8192 tokens first
            self.batch_size_per_gpu = 64
        attention.register()
        self.seed = torch.initial_seed() % 2**31
        self.why_not = self._why_not()

    def generate_until(self, requests, disable_tqdm: bool = False) -> list[str]:
        by_settings = defaultdict(list)
        for place, request in enumerate(requests):
            by_settings[json.dumps(request.args[1], sort_keys=True)].append(place)
        for places in by_settings.values():  # before hours are spent on the others
            self._room(normalize_gen_kwargs(requests[places[0]].args[1], self.max_gen_toks)["max_gen_toks"])
        texts: list[str | None] = [None] * len(requests)
        with tqdm(total=len(requests), disable=disable_tqdm or self.rank != 0, desc="lab-hf") as progress:

            def answered(place: int, text: str) -> None:
                texts[place] = text
                self.cache_hook.add_partial("generate_until", requests[place].args, text)
                progress.update()

            for places in by_settings.values():
                try:
                    self._answer(requests, places, answered)
                except NotCoveredError as error:
                    left = [place for place in places if texts[place] is None]
                    progress.write(f"lab-hf: the hf backend answers {len(left)} requests, because {error}")
                    theirs = super().generate_until([requests[p] for p in left], True)
                    for place, text in zip(left, theirs, strict=True):
                        texts[place] = text
                    progress.update(len(left))
        return texts

    def _answer(self, requests, places: Sequence[int], answered: Callable[[int, str], None]) -> None:
        """Answers requests that share their settings. Raises NotCoveredError where they ask for too much."""
        settings = normalize_gen_kwargs(requests[places[0]].args[1], self.max_gen_toks)
        sampling = self._sampling(settings)
        limit = settings["max_gen_toks"]
        end = self.tok_decode(self.eot_token_id, skip_special_tokens=False)
        until = handle_stop_sequences(settings["until"], eos=end)
        end_ids = self._end_ids()
        stopped = self._stopped([text for text in until if text != end])

        def told(job: Job, ids: list[int]) -> None:
            text = postprocess_generated_text(self.tok_decode(ids), stop=until, think_end_token=self.think_end_token)
            answered(job.place, Answer(text, len(ids) < limit or ids[-1] in end_ids))

        for groups in self._portions(self._jobs(requests, places, limit), limit):
            jobs = [job for group in groups for job in group]
            noise = None if sampling.greedy else torch.stack([self._noise(job, limit) for job in jobs]).to(self.device)
            generate(
                self.model,
                [group[0].ids for group in groups],
                [len(group) for group in groups],
                sampling,
                end_ids,
                limit,
                noise=noise,
                stopped=stopped,
                at_once=self.batch_size,
                ended=lambda answers, jobs=jobs: [told(jobs[i], ids) for i, ids in answers],
            )

    def _jobs(self, requests, places: Sequence[int], limit: int) -> list[Job]:
        """Longest prompts first, so that the largest batch is the first, the repeats of a prompt beside each other."""
        longest = self._room(limit)
        encoded: dict[str, tuple[int, ...]] = {}
        for place in places:
            prompt = requests[place].args[0]
            if prompt not in encoded:
                encoded[prompt] = tuple(self.tok_batch_encode([prompt])[0][0].tolist())
        if cut := sum(len(ids) > longest for ids in encoded.values()):
            tqdm.write(f"lab-hf: {cut} of {len(encoded)} prompts lose their beginning beyond {longest} tokens")
        repeats: Counter = Counter()
        jobs = []
        for place in places:
            ids = encoded[requests[place].args[0]][-longest:]
            jobs.append(Job(place, ids, repeats[ids]))
            repeats[ids] += 1
        return sorted(jobs, key=lambda job: (-len(job.ids), job.ids, job.repeat))

    def _room(self, limit: int) -> int:
        """Tokens left for a prompt whose answer may take `limit`. Raises UserError where there are none."""
        if limit < self.max_length:
            return self.max_length - limit
        raise UserError(
            f"answers of up to {limit} tokens leave no room for a prompt, the model has {self.max_length} "
            "positions: ask for shorter ones (a task's max_tokens, a YAML's max_gen_toks), or take another model"
        )

    def _portions(self, jobs: Sequence[Job], limit: int) -> Iterator[list[list[Job]]]:
        """The jobs' groups, as many together as there is room for when each of their answers takes `limit` tokens."""
        room = max(CELLS // limit, FULL * self.batch_size)
        portion: list[list[Job]] = []
        held = 0
        for group in self._groups(jobs):
            if portion and held + len(group) > room:
                yield portion
                portion, held = [], 0
            portion.append(group)
            held += len(group)
        yield portion

    def _groups(self, jobs: Sequence[Job]) -> Iterator[list[Job]]:
        """Jobs of one prompt, at most batch_size each."""
        for _, same in groupby(jobs, key=lambda job: job.ids):
            same = list(same)
            for start in range(0, len(same), self.batch_size):
                yield same[start : start + self.batch_size]

    def _sampling(self, settings: dict) -> Sampling:
        if self.why_not:
            raise NotCoveredError(self.why_not)
        own = self.model.generation_config
        if odd := sorted(set(settings) - UNDERSTOOD):
            raise NotCoveredError(f"they ask for {', '.join(odd)}")
        if (settings.get("repetition_penalty") or own.repetition_penalty or 1.0) != 1.0:
            raise NotCoveredError("they ask for a repetition penalty")
        if isinstance(self.think_end_token, int):
            raise NotCoveredError("think_end_token is a token id")
        temperature = settings.get("temperature", 0.0)
        if not settings.get("do_sample") or not temperature:
            return Sampling(greedy=True)
        top_k = settings.get("top_k", TOP_K if own.top_k is None else own.top_k)
        top_p = settings.get("top_p", 1.0 if own.top_p is None else own.top_p)
        return Sampling(temperature, top_k or 0, top_p, settings.get("min_p", own.min_p))

    def _noise(self, job: Job, limit: int) -> torch.Tensor:
        key = hashlib.sha256(repr((self.seed, job.ids, job.repeat)).encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(key[:7], "big"))
        return torch.rand(limit, dtype=torch.float64, generator=generator)

    def _end_ids(self) -> list[int]:
        declared = self.model.generation_config.eos_token_id
        declared = declared if isinstance(declared, list) else [declared]
        return [token for token in dict.fromkeys([self.eot_token_id, *declared]) if token is not None]

    def _stopped(self, stops: Sequence[str]) -> Callable[[list[list[int]]], list[bool]] | None:
        """Tells which answers have written a stop string; None where there is none to look for."""
        if not stops:
            return None
        width = LOOK_BACK + max(len(self.tok_encode(stop, add_special_tokens=False)) for stop in stops)

        def stopped(answers: list[list[int]]) -> list[bool]:
            tails = self.tokenizer.batch_decode([ids[-width:] for ids in answers], skip_special_tokens=False)
            return [any(stop in tail for stop in stops) for tail in tails]

        return stopped

    @torch.no_grad()
    def _why_not(self) -> str:
        """Why the shared-prefix attention is not for this model; empty where it gives the model's own logits."""
        if attention.rotates_by_length(self.model.config):
            return "its rotary frequencies depend on the batch's longest sequence"
        ids = torch.tensor([self.tok_encode("The quick brown fox", add_special_tokens=False)], device=self.device)
        before = self.model.config._attn_implementation
        try:
            plain = self.model(input_ids=ids, logits_to_keep=1).logits[0, -1].float()
            self.model.set_attn_implementation(attention.NAME)
            _, ours = prefill(self.model, ids.tolist())
        except Exception as error:  # whatever an architecture raises here, the hf backend can do without
            self.model.set_attn_implementation(before)
            return f"this model does not take it ({type(error).__name__}: {error})"
        if (difference := float((ours[0] - plain).abs().max())) > AGREE:
            self.model.set_attn_implementation(before)
            return f"its logits are {difference:.2g} off this model's own"
        return ""


def main() -> None:
    """lm-eval's own command, with --model lab-hf known."""
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()


if __name__ == "__main__":
    main()
