"""A GRPO step, ours and plain TRL's alternating on the same prompts: seconds, ratio, memory, share of the peak.

    python tests/benchmarks/grpo_step.py [--sizes 47,8,8 128,32,8 …] [--pairs 5] [--prompts 8] [--threads 2]

A size is (prompt tokens, answer tokens, answers a prompt). Prompts are random tokens of just that length, answers never
end early, rewards are random (with --silent 0.5 half of the groups get equal ones, which carry no signal). A step is
generation, scoring, and the update: forward, backward and AdamW. The floor counts the multiplications of the distinct
tokens alone, at the rate of a large matrix product on the same threads. Prints medians over the pairs.
"""

import argparse
import ctypes
import logging
import os
import statistics
import sys
import threading
import time
import warnings

SIZES = ("47,8,8", "128,32,8", "128,32,16", "64,256,8", "512,64,8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="prompt,answer,answers a prompt")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--prompts", type=int, default=8, help="groups a step")
    parser.add_argument("--micro", type=int, default=32, help="rows of a micro-batch, at most")
    parser.add_argument("--silent", type=float, default=0.0, help="share of groups without signal")
    parser.add_argument("--threads", type=int, default=0, help="0: as torch chooses")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: on a busy machine, one thread")
    options = parser.parse_args()
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    clock = time.perf_counter if options.clock == "wall" else time.process_time
    peak = matrix_peak(clock)
    print(
        f"{options.model}, {options.prompts} prompts a step, {torch.get_num_threads()} threads, {options.clock} clock,"
    )
    print(f"load {os.getloadavg()[0]:.1f}, matrix peak {peak / 1e9:.0f} GFLOP/s; each cell: ours / TRL (ratio)")
    print("prompt answer  G |     generation |   scoring |         update |           step | memory MB | of peak")
    for size in options.sizes:
        measure(options, tuple(map(int, size.split(","))), clock, peak)


def measure(options, size, clock, peak):
    from lab.rollout.trainer import GRPOTrainer, SharedPrefixTrainer

    found = {}
    trainers = [build(kind, options, size) for kind in (SharedPrefixTrainer, GRPOTrainer)]
    for pair in range(options.pairs + 1):
        for trainer in trainers[:: 1 if pair % 2 else -1]:
            numbers = step(trainer, options, size, clock)
            if pair:  # the first warms up
                found.setdefault(type(trainer), []).append(numbers)
    assert set(trainers[0].paths.values()) == {"shared prefix"}, trainers[0].paths
    cells = []
    for part in ("generation", "scoring", "update", "step", "memory"):
        ours, theirs = ([n[part] for n in found[kind]] for kind in (SharedPrefixTrainer, GRPOTrainer))
        ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True) if a) if part != "scoring" else 0
        digits = 0 if part == "memory" else 2
        cell = f"{statistics.median(ours):.{digits}f}/{statistics.median(theirs):.{digits}f}"
        cells.append(cell + (f" ({ratio:.2f})" if ratio else ""))
    seconds = statistics.median(n["step"] for n in found[SharedPrefixTrainer])
    share = floor(trainers[0].model, options.prompts, *size) / peak / seconds
    print(
        f"{size[0]:6} {size[1]:6} {size[2]:2} | " + " | ".join(f"{c:>9}" for c in cells) + f" | {share:.0%}", flush=True
    )


def build(kind, options, size):
    import torch
    from datasets import Dataset
    from transformers.utils import logging as transformers_logging
    from trl import GRPOConfig

    from lab.checkpoints import load_model, load_tokenizer

    transformers_logging.disable_progress_bar()
    logging.disable(logging.WARNING)
    length, answer, answers = size
    rows = options.prompts * answers
    micro = next(m for m in range(min(options.micro, rows), 0, -1) if rows % m == 0)
    model = load_model(options.model, dtype="float32")
    rng = torch.Generator().manual_seed(0)
    prompts = torch.randint(100, model.config.vocab_size, (options.prompts, length), generator=rng).tolist()
    silent = round(options.silent * options.prompts)

    def reward(completions, prompts, **_):
        of = [int(prompt) for prompt in prompts]
        return [0.0 if p < silent else float(i % 2) for i, p in enumerate(of)]

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
            gradient_accumulation_steps=rows // micro,
            num_generations=answers,
            max_completion_length=answer,
            top_k=0,
            learning_rate=1e-6,
            gradient_checkpointing=False,
        ),
        train_dataset=Dataset.from_dict({"prompt": [str(i) for i in range(options.prompts)]}),
        processing_class=load_tokenizer(options.model),
        reward_funcs=reward,
    )
    trainer._tokenize_prompts = lambda texts: ([prompts[int(text)] for text in texts], None, {})
    trainer.eos_token_ids = []  # answers never end: both write the same number of tokens
    trainer.generation_config.eos_token_id = None
    trainer.create_optimizer()
    trainer.seconds = {}
    return trainer


def step(trainer, options, size, clock) -> dict[str, float]:
    """Seconds of one step's parts, and the memory (MB) it took above what was there."""
    import torch

    seconds = {}

    def timed(name):
        plain = getattr(type(trainer), name)

        def call(*args):
            begin = clock()
            try:
                return plain(trainer, *args)
            finally:
                seconds[name] = clock() - begin

        setattr(trainer, name, call)

    timed("_generate_single_turn")
    timed("_calculate_rewards")
    trainer.model.train()
    accumulation = trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
    trainer._buffered_inputs = None
    rows = [trainer.train_dataset[i // size[2]] for i in range(options.prompts * size[2])]
    with PeakMemory() as memory:
        begin = clock()
        for trainer._step in range(accumulation):
            batch = trainer._prepare_inputs(rows)
            if trainer._step == 0:
                prepared = clock()
            with trainer.accelerator.autocast():
                loss = trainer._compute_loss(trainer.model, batch)
            loss.backward()
        trainer.optimizer.step()
        trainer.optimizer.zero_grad()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        end = clock()
    return {
        "generation": seconds["_generate_single_turn"],
        "scoring": seconds["_calculate_rewards"],
        "update": end - prepared,
        "step": end - begin,
        "memory": memory.megabytes,
    }


class PeakMemory:
    """The most memory that the process held between enter and exit, above what it held on entering."""

    def __enter__(self):
        if sys.platform == "linux":  # else memory that the allocator kept from the last step would count as held
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        self.begin = self.most = self._now()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
        self.megabytes = (self.most - self.begin) / 2**20

    def _watch(self):
        while not self.done.wait(0.005):
            self.most = max(self.most, self._now())

    def _now(self) -> int:
        import torch

        if torch.cuda.is_available():
            return torch.cuda.memory_allocated()
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def matrix_peak(clock) -> float:
    """Floating-point operations a second of a product of two large float32 matrices, the best of several."""
    import torch

    a = torch.randn(2048, 2048)
    seconds = []
    for _ in range(8):
        begin = clock()
        a @ a
        seconds.append(clock() - begin)
    return 2 * 2048**3 / min(seconds)


def floor(model, prompts, length, answer, answers) -> float:
    """Floating-point operations of a step in which every distinct token is computed once: matrix products alone.

    Twice the weights a token in generation, three times that in the update; the output layer for answers' tokens only.
    """
    head = model.get_output_embeddings().weight.numel()
    body = sum(p.numel() for p in model.model.layers.parameters())
    tokens = length + answers * (answer - 1)
    return prompts * (2 + 6) * (body * tokens + head * answers * answer)


if __name__ == "__main__":
    main()
