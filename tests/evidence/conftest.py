"""A checkpoint that gets some rows right and some wrong, so that equal scores mean something."""

import pytest


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


@pytest.fixture
def has_rows():
    """Whether a bundled task can be drawn without a network and without a further package."""

    def drawn(name) -> bool:
        from lab.registry import load_task

        try:
            load_task(name).sample("test", 1)
        except (ConnectionError, ImportError):
            return False
        return True

    return drawn
