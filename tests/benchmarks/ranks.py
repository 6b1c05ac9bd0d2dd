"""Seconds of a GRPO step on one process and on two, under each engine that runs on a CPU: median of the later steps."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

STEPS = ["sft=null", "grpo.max_steps=12", "grpo.save_strategy='no'", "eval.n=8", "eval.base=false"]


def seconds_a_step(preset: str) -> float:
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, "-m", "lab", "grpo", "smoke", *STEPS, f"output={output}", "--accelerate", preset]
        subprocess.run(command, check=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
        (file,) = Path(output).glob("*/*/metrics.jsonl")
        clock = [json.loads(line)["seconds"] for line in file.read_text().splitlines()]
    return statistics.median(later - earlier for earlier, later in zip(clock[2:], clock[3:]))


def main() -> None:
    for preset in ("cpu1", "cpu2", "cpu2_zero2", "cpu2_zero3"):
        print(f"{preset:12} {seconds_a_step(preset):.3f} s a step", flush=True)


if __name__ == "__main__":
    main()
