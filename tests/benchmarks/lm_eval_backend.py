"""lab-hf against lm-eval's own hf backend, alternating in one run on the same requests: answers a second, same text.

    python tests/benchmarks/lm_eval_backend.py [--pairs 3] [--prompts 96] [--limit 128] [--threads 2]

Prompts are GSM8K's test questions as the task gsm8k asks them, or word problems of our own where the data set cannot be
had. Rows: greedy against the best fixed batch size, greedy against the default `--batch_size 1`, and 8 samples of
prompts of 512 tokens (other worked examples before each question) against the best size. The best size is found first,
on one batch of each. Both have the same float32 weights. Prints medians over the pairs, and the ratio's median.
"""

import argparse
import os
import random
import statistics
import time
from collections import Counter

SIZES = (4, 8, 16, 32, 64)
LONG, SAMPLES = 512, 8


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=96, help="of the greedy row; the others take fewer")
    parser.add_argument("--limit", type=int, default=128, help="tokens of an answer, at most")
    parser.add_argument("--batch", type=int, default=64, help="ours: answers written at once")
    parser.add_argument("--threads", type=int, default=0, help="0: as torch chooses")
    parser.add_argument("--rows", nargs="+", default=["greedy", "default", "samples"])
    options = parser.parse_args()
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    stock, ours = backends(options)
    assert not ours.why_not, ours.why_not
    print(f"{options.model}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}, ours: {options.batch}")
    print("row      | requests | stock's batch | stock /s | ours /s | ratio | same text", flush=True)
    few = max(options.prompts // 16, 1)
    greedy = {"until": ["Question:"], "max_gen_toks": options.limit, "do_sample": False}
    sampled = {**greedy, "do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    short, long = prompts(ours, options.prompts), prompts(ours, few, LONG)
    rows = {
        "greedy": (requests(short, greedy), None),
        "default": (requests(short[::6], greedy), 1),
        "samples": (requests(long, sampled, SAMPLES), None),
    }
    for name in options.rows:
        asked, size = rows[name]
        measure(name, stock, ours, asked, size or best_size(stock, asked), options.pairs)


def backends(options):
    import logging

    from lm_eval.models.huggingface import HFLM

    from lab.checkpoints import load_model, load_tokenizer
    from lab.lm_eval_backend import LabHF

    logging.disable(logging.WARNING)
    shared = {"tokenizer": load_tokenizer(options.model), "device": "cpu", "batch_size": options.batch}
    return [kind(pretrained=load_model(options.model, dtype="float32"), **shared) for kind in (HFLM, LabHF)]


def prompts(lm, count: int, length: int | None = None) -> list[str]:
    """Rendered questions; with a length, after as many worked examples as fill just so many tokens."""
    from lab.errors import UserError
    from lab.registry import load_task

    task = load_task("gsm8k")
    try:
        rows = task.sample("test", 40 + 5 * count)
    except UserError:
        rows = [word_problem(random.Random(i)) for i in range(40 + 5 * count)]
    random.Random(0).shuffle(rows)
    texts = [lm.apply_chat_template(task.messages(row)) for row in rows]
    if length is None:
        return texts[:count]
    shots = [f"{row['question']}\n{row['worked']}\n\\boxed{{{row['answer']}}}\n\n" for row in rows]
    return [filled(lm, "".join(shots[count + i :: count]), text, length) for i, text in enumerate(texts[:count])]


def word_problem(rng) -> dict:
    name, thing = rng.choice(["Ada", "Ben", "Mia", "Tom"]), rng.choice(["apples", "stamps", "marbles", "pencils"])
    bags, each, given = rng.randint(3, 12), rng.randint(4, 30), rng.randint(1, 11)
    left = bags * each - given
    question = f"{name} buys {bags} bags with {each} {thing} in each, then gives {given} {thing} to a friend and puts "
    question += f"half of the rest into a box. How many {thing} lie in the box if an odd one stays outside?"
    worked = (
        f"There are {bags} * {each} = {bags * each} {thing}. After the gift {left} are left, and half is {left // 2}."
    )
    return {"question": question, "worked": worked, "answer": str(left // 2)}


def filled(lm, shots: str, text: str, length: int) -> str:
    """`text` with the beginning of `shots` before it, as long as leaves it with `length` tokens or one less."""
    missing = length - len(lm.tok_encode(text))
    ids = lm.tok_encode(shots, add_special_tokens=False)
    while len(lm.tok_encode(lm.tok_decode(ids[:missing]) + text)) > length:
        missing -= 1
    return lm.tok_decode(ids[:missing]) + text


def requests(prompts, settings, repeats=1):
    from lm_eval.api.instance import Instance

    return [
        Instance("generate_until", doc={}, arguments=(prompt, dict(settings)), idx=0)
        for prompt in prompts
        for _ in range(repeats)
    ]


def answers(lm, asked, size: int | None = None) -> tuple[list[str], float]:
    """The texts, and the seconds they took."""
    if size:
        lm.batch_size_per_gpu = size
    begin = time.perf_counter()
    return lm.generate_until(asked, disable_tqdm=True), time.perf_counter() - begin


def best_size(stock, asked) -> int:
    """The batch size with which stock answers fastest: one batch of each, upwards until a larger one is slower."""
    answers(stock, asked[:2], 2)  # warms up
    speeds: dict[int, float] = {}
    for size in (size for size in SIZES if size <= len(asked)):
        speeds[size] = size / answers(stock, asked[:: len(asked) // size][:size], size)[1]
        if speeds[size] < max(speeds.values()):
            break
    print("  stock by batch size: " + ", ".join(f"{size}: {speed:.2f}/s" for size, speed in speeds.items()), flush=True)
    return max(speeds, key=speeds.get)


def measure(name: str, stock, ours, asked, size: int, pairs: int) -> None:
    took: dict = {stock: [], ours: []}
    texts = {}
    answers(ours, asked[:2])
    for pair in range(pairs):
        for lm in (stock, ours)[:: 1 if pair % 2 else -1]:
            texts[lm], seconds = answers(lm, asked, size if lm is stock else None)
            took[lm].append(seconds)
    speeds = [len(asked) / statistics.median(took[lm]) for lm in (stock, ours)]
    ratio = statistics.median(b / a for a, b in zip(took[ours], took[stock], strict=True))
    same = "" if name == "samples" else f"{sum(map(str.__eq__, *texts.values()))} of {len(asked)}"
    tokens = [len(ours.tok_encode(text)) for text in texts[ours]]
    print(f"  tokens an answer: {statistics.mean(tokens):.0f}, longest {max(tokens)}, {Counter(tokens).most_common(1)}")
    print(
        f"{name:8} | {len(asked):8} | {size:13} | {speeds[0]:8.2f} | {speeds[1]:7.2f} | {ratio:5.2f} | {same}",
        flush=True,
    )


if __name__ == "__main__":
    main()
