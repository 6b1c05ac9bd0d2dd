"""A GRPO step, ours and plain TRL's alternating on the same prompts: seconds, ratio, memory, share of the peak.

    python tests/benchmarks/grpo_step.py [--sizes 47,8,8 128,32,8 …] [--pairs 5] [--threads 2]

A size is (prompt tokens, answer tokens, answers a prompt), with "/2" behind it half of the groups get equal rewards,
which carry no signal. Prompts are random tokens of just that length, answers never end early, rewards are otherwise
0 and 1 in turn. A step is generation, scoring and the update: forward, backward and AdamW. Medians over the pairs; a
ratio is the median of the pairs' ratios. Memory is what the trainer holds (weights, AdamW's moments) and the most
that a step takes beyond. The floor counts the multiplications of the distinct tokens alone; its share is of the best
rate that a matrix product reaches here, a large square or one of the model's own. The last lines say for each size
what the time of one more of our steps goes to.
"""

import argparse
import ctypes
import gc
import logging
import os
import re
import statistics
import sys
import time
import warnings

PROMPTS = {"47,8,8": 4, "128,32,8": 4, "128,32,16": 2, "64,256,8": 2, "512,64,8": 2, "128,32,8/2": 4}  # groups a step
MICRO_TOKENS = 5120  # of a micro-batch as TRL pads it: what 16 GB hold
PROFILED_TOKENS = 64  # of an answer, at most: the profile of a longer one is gigabytes
KINDS = {  # what the operators of a profile are for
    "matrix products": r"aten::(mm|bmm|addmm_?|baddbmm)$|mkldnn::_linear|aten::mkldnn_linear",
    "attention": r"flash_attention|_softmax$",
    "laying out weights": r"_reorder_linear",
    "optimizer": r"_fused_adam|_foreach",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--sizes", nargs="+", default=list(PROMPTS), help="prompt,answer,answers a prompt[/2]")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--prompts", type=int, help="groups a step; by default the fewer, the longer they are")
    parser.add_argument("--micro", type=int, help="rows of a micro-batch, at most")
    parser.add_argument("--threads", type=int, default=0, help="0: as torch chooses")
    options = parser.parse_args()
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    peaks = matrix_peaks()
    print(f"{options.model}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}, {options.pairs} pairs")
    print("GFLOP/s of products: " + ", ".join(f"{name}: {rate / 1e9:.0f}" for name, rate in peaks.items()))
    print("seconds and MB, ours / TRL (ratio); the share of the floor")
    print(
        "prompt,answer,G prompts |         generation |     scoring |             update |               step "
        "|             memory | share",
        flush=True,
    )
    profiles = {size: measure(options, size, max(peaks.values())) for size in options.sizes}
    print("what the time of our step goes to")
    for size, profile in profiles.items():
        if profile:
            print(f"{size:15} " + ", ".join(f"{what} {share:.0%}" for what, share in profile.items()))


def measure(options, size: str, peak: float) -> dict[str, float]:
    """Prints the row of `size`; returns the shares of our step's time, empty where it is too long to profile."""
    from lab.rollout.trainer import GRPOTrainer, SharedPrefixTrainer

    length, answer, answers = map(int, size.partition("/")[0].split(","))
    prompts = options.prompts or PROMPTS.get(size, 4)
    rows = prompts * answers
    most = options.micro or MICRO_TOKENS // (length + answer)
    micro = next(m for m in range(min(most, rows), 0, -1) if rows % m == 0)
    found = {SharedPrefixTrainer: [], GRPOTrainer: []}
    trainers = [build(kind, options.model, prompts, length, answer, answers, micro, "/" in size) for kind in found]
    for pair in range(options.pairs + 1):
        for trainer in trainers[:: 1 if pair % 2 else -1]:
            numbers = step(trainer)
            if pair:  # the first warms up
                found[type(trainer)].append(numbers)
    ours, theirs = found.values()
    assert set(trainers[0].paths.values()) == {"shared prefix"}, trainers[0].paths
    cells = []
    for part in ("generation", "scoring", "update", "step", "memory"):
        a, b = ([numbers[part] for numbers in steps] for steps in (ours, theirs))
        digits = 0 if part == "memory" else 2
        cell = f"{statistics.median(a):.{digits}f} / {statistics.median(b):.{digits}f}"
        if part != "scoring":
            cell += f" ({statistics.median(y / x for x, y in zip(a, b, strict=True)):.2f})"
        cells.append(cell.rjust(11 if part == "scoring" else 18))
    floor = operations(trainers[0].model, prompts, length, answer, answers, trained=0.5 if "/" in size else 1.0)
    share = floor / peak / statistics.median(numbers["step"] for numbers in ours)
    print(f"{size:15} {prompts:7} | " + " | ".join(cells) + f" | {share:.0%}", flush=True)
    return profiled(trainers[0]) if answer <= PROFILED_TOKENS else {}


def build(kind, checkpoint: str, prompts: int, length: int, answer: int, answers: int, micro: int, half_silent: bool):
    import torch
    from datasets import Dataset
    from transformers.utils import logging as transformers_logging
    from trl import GRPOConfig

    from lab.checkpoints import load_model, load_tokenizer

    transformers_logging.disable_progress_bar()
    logging.disable(logging.WARNING)
    model = load_model(checkpoint, dtype="float32")
    rng = torch.Generator().manual_seed(0)
    ids = torch.randint(100, model.config.vocab_size, (prompts, length), generator=rng).tolist()
    silent = prompts // 2 if half_silent else 0

    def reward(prompts, **_):
        return [0.0 if int(prompt) < silent else float(i % 2) for i, prompt in enumerate(prompts)]

    trainer = kind(
        model=model,
        args=GRPOConfig(
            output_dir=os.path.join(os.environ.get("TMPDIR", "/tmp"), "grpo_step"),
            use_cpu=not torch.accelerator.is_available(),
            bf16=torch.cuda.is_available(),
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            log_completions=False,
            per_device_train_batch_size=micro,
            gradient_accumulation_steps=prompts * answers // micro,
            num_generations=answers,
            max_completion_length=answer,
            top_k=0,
            learning_rate=1e-6,
            gradient_checkpointing=False,
        ),
        train_dataset=Dataset.from_dict({"prompt": [str(i) for i in range(prompts)]}),
        processing_class=load_tokenizer(checkpoint),
        reward_funcs=reward,
    )
    trainer._tokenize_prompts = lambda texts: ([ids[int(text)] for text in texts], None, {})
    trainer.eos_token_ids = []  # answers never end: both write the same number of tokens
    trainer.generation_config.eos_token_id = None
    trainer.create_optimizer()
    return trainer


def step(trainer) -> dict[str, float]:
    """Seconds of one step's parts, and the MB that the trainer holds and takes."""
    import torch

    seconds = {}

    def timed(name):
        plain = getattr(type(trainer), name)

        def call(*args):
            begin = time.perf_counter()
            try:
                return plain(trainer, *args)
            finally:
                seconds[name] = time.perf_counter() - begin

        setattr(trainer, name, call)

    timed("_generate_single_turn")
    timed("_calculate_rewards")
    trainer.model.train()
    accumulation = trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
    trainer._buffered_inputs = None
    rows = [row for row in trainer.train_dataset for _ in range(trainer.num_generations)]
    memory = PeakMemory()
    begin = time.perf_counter()
    for trainer._step in range(accumulation):
        batch = trainer._prepare_inputs(rows)
        if trainer._step == 0:
            prepared = time.perf_counter()
        with trainer.accelerator.autocast():
            loss = trainer._compute_loss(trainer.model, batch)
        loss.backward()
        del batch, loss
    trainer.optimizer.step()
    trainer.optimizer.zero_grad()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    end = time.perf_counter()
    return {
        "generation": seconds["_generate_single_turn"],
        "scoring": seconds["_calculate_rewards"],
        "update": end - prepared,
        "step": end - begin,
        "memory": (memory.taken() + held(trainer)) / 1e6,
    }


class PeakMemory:
    """The most memory that the process has held since this was made, above what it held then, by the kernel's count."""

    def __init__(self):
        import torch

        self.cuda = torch.cuda.is_available()
        gc.collect()
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()
            self.begin = torch.cuda.memory_allocated()
            return
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # else what the allocator kept from the last step would count as held
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # sets the high-water mark back to what is held now
        self.begin = self._most()

    def taken(self) -> int:
        return self._most() - self.begin

    def _most(self) -> int:
        import torch

        if self.cuda:
            return torch.cuda.max_memory_allocated()
        with open("/proc/self/status") as file:
            return 1024 * int(re.search(r"VmHWM:\s*(\d+)", file.read())[1])


def held(trainer) -> int:
    """Bytes of the trainer's weights and of its optimizer's state: both trainers' lie in this process."""
    moments = (x for state in trainer.optimizer.state.values() for x in state.values() if hasattr(x, "nbytes"))
    return sum(x.nbytes for x in (*trainer.model.parameters(), *moments))


def profiled(trainer) -> dict[str, float]:
    """Shares of a step's time by what its operators are for; what is in none of them is Python's."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * torch.cuda.is_available()
    with profile(activities=activities) as recorded:
        seconds = step(trainer)["step"]
    shares = dict.fromkeys([*KINDS, "the other operators"], 0.0)
    for event in recorded.key_averages():
        if "::" in event.key:
            kind = next((kind for kind, names in KINDS.items() if re.search(names, event.key)), "the other operators")
            shares[kind] += event.self_cpu_time_total / 1e6 / seconds
    return shares | {"Python": 1 - sum(shares.values())}


def matrix_peaks() -> dict[str, float]:
    """Floating-point operations a second of matrix products, the best of several: a large square, the model's own."""
    import torch

    place = {"device": "cuda", "dtype": torch.bfloat16} if torch.cuda.is_available() else {}
    rates = {}
    for m, k, n in ((2048, 2048, 2048), (512, 576, 1536), (1504, 576, 1536), (1504, 1536, 576)):
        a, b, seconds = torch.randn(m, k, **place), torch.randn(k, n, **place), []
        for _ in range(20):
            begin = time.perf_counter()
            a @ b
            if place:
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - begin)
        rates[f"{m}x{k}x{n}"] = 2 * m * k * n / min(seconds)
    return rates


def operations(model, prompts: int, length: int, answer: int, answers: int, trained: float) -> float:
    """Floating-point operations of a step in which every distinct token is computed once: matrix products alone.

    Twice the weights a token in generation, three times that in the update of the `trained` share of the groups; the
    output layer for answers' tokens only.
    """
    head = model.get_output_embeddings().weight.numel()
    body = sum(p.numel() for p in model.model.layers.parameters())
    tokens = length + answers * (answer - 1)
    return prompts * (2 + 6 * trained) * (body * tokens + head * answers * answer)


if __name__ == "__main__":
    sys.exit(main())
