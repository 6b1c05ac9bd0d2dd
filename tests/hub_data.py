"""Small data sets of our own in the layout, columns and types in which the hub has the real ones."""

from pathlib import Path

from datasets import ClassLabel, Dataset, Features, List, Value

TEXT = Value("string")


def write(folder: Path) -> Path:
    """Writes openai/gsm8k, HuggingFaceH4/MATH-500, allenai/ai2_arc, cais/mmlu and mbpp under `folder`."""
    for split, first in [("train", 0), ("test", 40)]:
        records = [word_problem(i) for i in range(first, first + 20)]
        parquet(folder / f"openai/gsm8k/main/{split}-00000-of-00001.parquet", records)
    readme(folder / "openai/gsm8k", "main", {split: f"main/{split}-*" for split in ("train", "test")})

    lines = Dataset.from_list([competition_problem(i) for i in range(1, 21)])
    (folder / "HuggingFaceH4/MATH-500").mkdir(parents=True)
    lines.to_json(folder / "HuggingFaceH4/MATH-500/test.jsonl")
    readme(folder / "HuggingFaceH4/MATH-500", "default", {"test": "test.jsonl"})

    arc = Features(
        {"id": TEXT, "question": TEXT, "choices": {"text": List(TEXT), "label": List(TEXT)}, "answerKey": TEXT}
    )
    for split, first in [("train", 0), ("validation", 40), ("test", 80)]:
        records = [science_question(i) for i in range(first, first + 20)]
        parquet(folder / f"allenai/ai2_arc/ARC-Challenge/{split}-00000-of-00001.parquet", records, arc)
    splits = ("train", "validation", "test")
    readme(folder / "allenai/ai2_arc", "ARC-Challenge", {split: f"ARC-Challenge/{split}-*" for split in splits})

    letters = ClassLabel(names=["A", "B", "C", "D"])
    mmlu = Features({"question": TEXT, "subject": TEXT, "choices": List(TEXT), "answer": letters})
    for split, first in [("validation", 0), ("test", 40)]:
        records = [exam_question(i) for i in range(first, first + 20)]
        parquet(folder / f"cais/mmlu/all/{split}-00000-of-00001.parquet", records, mmlu)
    readme(folder / "cais/mmlu", "all", {split: f"all/{split}-*" for split in ("validation", "test")})

    listed = dict.fromkeys(("test_list", "challenge_test_list"), List(TEXT))
    mbpp = Features({"task_id": Value("int32"), **dict.fromkeys(("text", "code", "test_setup_code"), TEXT), **listed})
    for split, first in [("train", 0), ("validation", 40), ("test", 80)]:
        records = [program_problem(i) for i in range(first, first + 20)]
        records.append(program_problem(-1) | {"test_setup_code": "class Node: pass"})
        parquet(folder / f"google-research-datasets/mbpp/full/{split}-00000-of-00001.parquet", records, mbpp)
    readme(folder / "google-research-datasets/mbpp", "full", {split: f"full/{split}-*" for split in splits})
    return folder


def word_problem(i: int) -> dict:
    total = 1000 + 7 * i
    return {
        "question": f"A shed holds {1000 + 5 * i} bricks and a cart brings {2 * i} more. How many bricks are there?",
        "answer": f"{1000 + 5 * i}+{2 * i}=<<{1000 + 5 * i}+{2 * i}={total}>>{total} bricks.\n#### {total:,}",
    }


def competition_problem(i: int) -> dict:
    answer = f"\\frac{{{i}}}{{{2 * i + 1}}}"
    return {
        "problem": f"Divide ${i}$ by ${2 * i + 1}$.",
        "solution": f"That is $\\boxed{{{answer}}}$.",
        "answer": answer,
        "subject": "Prealgebra",
        "level": 1 + i % 5,
        "unique_id": f"test/prealgebra/{i}.json",
    }


def science_question(i: int) -> dict:
    named = [*"ABCD"] if i % 2 else [*"1234"]  # as in the real one, both are in use
    texts = [f"{i + k} degrees" for k in range(4)]
    return {
        "id": f"own_{i}",
        "question": f"A cup of tea at {i} degrees warms by {i % 4}. What is it then?",
        "choices": {"text": texts, "label": named},
        "answerKey": named[i % 4],
    }


def exam_question(i: int) -> dict:
    choices = [str(i + k) for k in range(4)]
    return {"question": f"What follows {i - 1 + i % 4}?", "subject": "counting", "choices": choices, "answer": i % 4}


def program_problem(i: int) -> dict:
    pairs = [(1, 2), (3, 4), (5, 1)]
    return {
        "task_id": i,
        "text": f"Write a function to swap a pair and add {i} to each.",
        "code": f"def swap(p):\r\n  return p[1] + {i}, p[0] + {i}",
        "test_list": [f"assert swap({pair}) == {(pair[1] + i, pair[0] + i)}" for pair in pairs],
        "test_setup_code": "",
        "challenge_test_list": [],
    }


def parquet(file: Path, records: list[dict], features: Features | None = None) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_list(records, features=features).to_parquet(file)


def readme(folder: Path, config: str, files: dict[str, str]) -> None:
    listed = "".join(f"  - split: {split}\n    path: {path}\n" for split, path in files.items())
    (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: {config}\n  data_files:\n{listed}---\n")
