"""SFT trains the assistant's tokens and the end of its turn, and nothing else."""

from lab.registry import load_task
from lab.stages.sft import training_row


def test_labels_are_the_answer_and_its_end(tiny_renderer):
    task = load_task("digits")
    row = task.sample("train", 1)[0]
    example = training_row(task, row, tiny_renderer)
    prompt = tiny_renderer.prompt_ids(task.messages(row))
    assert example["input_ids"][: len(prompt)] == prompt
    assert example["labels"][: len(prompt)] == [-100] * len(prompt)
    trained = example["labels"][len(prompt) :]
    assert trained == example["input_ids"][len(prompt) :]
    assert tiny_renderer.tokenizer.decode(trained) == row["answer"] + "<|end|>"


def test_padding_hides_no_end_of_turn(tiny_renderer):
    import torch
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    task = load_task("largest")
    examples = [training_row(task, row, tiny_renderer) for row in task.sample("train", 6)]
    batch = DataCollatorForLanguageModeling(pad_token_id=tiny_renderer.tokenizer.pad_token_id)(examples)
    assert tiny_renderer.tokenizer.pad_token_id not in tiny_renderer.end_ids
    assert ((batch["labels"] == tiny_renderer.end_ids[0]).sum(dim=1) == 1).all()
    assert torch.equal(batch["labels"] != -100, (batch["labels"] != -100) & (batch["attention_mask"] == 1))
