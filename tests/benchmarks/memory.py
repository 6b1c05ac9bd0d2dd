"""The plan's estimate of memory against the measured peak of a real step, on the CPU, for several shapes of batch."""

import json
import subprocess
import sys
import threading
import time

CASES = [("sft", 8, 0, 256), ("sft", 2, 0, 128), ("grpo", 8, 64, 192), ("grpo", 4, 32, 480), ("grpo", 2, 480, 32)]


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def measure(kind: str, rows: int, prompt: int, tokens: int) -> dict[str, float]:
    """GiB above the interpreter's own: measured over two steps, and estimated. A model of 17 M parameters."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from lab.memory import GIB, Shape, estimate
    from lab.plan import BatchPlan

    shape = {"vocab_size": 49152, "hidden_size": 256, "num_hidden_layers": 6, "intermediate_size": 768}
    model = LlamaForCausalLM(
        LlamaConfig(**shape, num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True)
    )
    parameters = sum(parameter.numel() for parameter in model.parameters())
    optimizer = torch.optim.AdamW(model.parameters(), foreach=False)
    before, peak, running = resident() - 4 * parameters, [0], [True]

    def watch():
        while running[0]:
            peak[0] = max(peak[0], resident())
            time.sleep(0.001)

    threading.Thread(target=watch, daemon=True).start()
    for _ in range(2):
        ids = torch.randint(0, 49152, (rows, prompt + tokens))
        if kind == "sft":
            loss = model(ids, labels=ids).loss
        else:  # as TRL's GRPO: the completion's logits alone, row by row through the softmax
            logits = model(ids, logits_to_keep=tokens + 1).logits[:, :-1] / 1.0
            chosen = [torch.log_softmax(row, -1).gather(-1, i[:, None]) for row, i in zip(logits, ids[:, -tokens:])]
            loss = -torch.stack(chosen).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    running[0] = False
    answers = 2 if kind == "grpo" else 1
    plan = BatchPlan(rows // answers, answers, 1, rows, 1, tokens if kind == "grpo" else None)
    known = Shape(parameters, 6, 256, 768, 49152, key_values=2 * 2 * 64)
    prompt_tokens = prompt if kind == "grpo" else tokens
    expected = estimate(known, plan, prompt_tokens=prompt_tokens, bf16=False)
    return {"measured": (peak[0] - before) / GIB, "estimated": expected.total / GIB}


def main() -> None:
    print("stage  rows  prompt  tokens  measured  estimated  ratio")
    for case in CASES:
        done = subprocess.run([sys.executable, __file__, *map(str, case)], capture_output=True, text=True, check=True)
        got = json.loads(done.stdout.splitlines()[-1])
        ratio = got["estimated"] / got["measured"]
        print(
            f"{case[0]:5}  {case[1]:4}  {case[2]:6}  {case[3]:6}  {got['measured']:8.2f}  {got['estimated']:9.2f}  "
            f"{ratio:5.2f}"
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1], *map(int, sys.argv[2:]))))
    else:
        main()
