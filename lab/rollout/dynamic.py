"""Dynamic sampling (DAPO, Yu et al., 2503.14476): other prompts in place of groups whose answers all earn the same."""

import json
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate.utils import gather_object

from lab.rollout.visits import Visits

STATE = "sampling.json"  # in each checkpoint


class Group(NamedTuple):
    """A prompt's answers, as every process knows them."""

    prompt: int  # its index in the data set
    answers: list  # for each its fields of `_generate`'s result, and its extra columns
    rewards: torch.Tensor  # (G, functions), NaN where unscorable
    spread: bool  # whether their totals differ


class DynamicSampling:
    """Put before a GRPOTrainer: `class Trainer(DynamicSampling, SharedPrefixTrainer): rounds = 2`.

    Groups of a generation batch without spread are replaced by groups of prompts drawn anew from the dataset, in at
    most `rounds` further rounds; what is still missing then is filled with groups without spread. "sampling/drawn" is
    the number of groups answered, over that of the batch; accuracy and lengths are of all that were answered, rewards
    of what is trained on. With `patience`, prompts that taught nothing of late are not asked at all (see Visits);
    "sampling/solved" and "sampling/hopeless" count them.

    The dataset has the column "row_index", 0, 1, …. A round is dealt evenly to all processes, whosever groups had no
    spread, and each group is told to all: so they agree on every choice without a further word, and the batch is the
    one that a single process would have made of the same answers.
    """

    rounds, patience = 2, 0
    _settled: tuple | None = None  # what `_generate` and `_calculate_rewards` are to return, once it is chosen

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.visits = Visits(len(self.train_dataset), self.patience, self.args.seed)

    def _generate_and_score_completions(self, inputs):
        if not self.model.training:
            return super()._generate_and_score_completions(inputs)
        rows, self._settled = self._with_spread(inputs)
        try:
            return super()._generate_and_score_completions(rows)
        finally:
            self._settled = None

    def _generate(self, prompts):
        return super()._generate(prompts) if self._settled is None else self._settled[0]

    def _calculate_rewards(self, inputs, prompts, completions, completion_ids_list):
        if self._settled is not None:
            return self._settled[1]
        return super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)

    def _with_spread(self, inputs) -> tuple[list[dict], tuple]:
        """As many groups as `inputs` has, with spread where they could be found: rows, and what TRL makes of them."""
        size, processes = self.num_generations, self.accelerator.num_processes
        candidates = self.visits.replaced(gather_object([row["row_index"] for row in inputs])[::size])
        wanted, groups = len(candidates), []
        for _ in range(1 + self.rounds):
            answered, generated = self._answered(candidates)
            groups += answered
            missing = wanted - sum(group.spread for group in groups)
            if missing <= 0:
                break
            while missing * size % processes:  # each process answers as many
                missing += 1
            candidates = self.visits.draw(missing, {group.prompt for group in groups})
        self._note_sampling(len(groups) / wanted)
        best = sorted(range(len(groups)), key=lambda i: not groups[i].spread)[:wanted]
        chosen = [groups[i] for i in sorted(best)]
        rows = self._share([(group.prompt, *answer) for group in chosen for answer in group.answers])
        for column in rows[0][2]:
            self._pending_extra_logs[column] = [extra[column] for *_, extra in rows]
        fields = tuple(
            [answer[i] for _, answer, _ in rows] if _is_by_row(field) else field for i, field in enumerate(generated)
        )
        return self._rows([prompt for prompt, *_ in rows]), (fields, torch.cat([group.rewards for group in chosen]))

    def _answered(self, prompts: list[int]) -> tuple[list[Group], tuple]:
        """Groups for `prompts`, whose rows are dealt to the processes in order, and `_generate`'s result for ours."""
        size = self.num_generations
        rows = self._rows(self._share([prompt for prompt in prompts for _ in range(size)]))
        messages = [row["prompt"] for row in rows]
        self.answering = rows
        generated = self._generate(messages)
        rewards = self._calculate_rewards(rows, messages, generated[3], generated[1])
        extras = [{name: values[i] for name, values in self._pending_extra_logs.items()} for i in range(len(rows))]
        self._pending_extra_logs.clear()
        fields = [field if _is_by_row(field) else [None] * len(rows) for field in generated]
        answers = gather_object(list(zip(zip(*fields, strict=True), extras, strict=True)))
        groups = []
        for i, prompt in enumerate(prompts):
            part = slice(i * size, (i + 1) * size)
            group = Group(prompt, answers[part], rewards[part], self._has_spread(rewards[part]))
            if not group.rewards.isnan().all():
                solved = all(extra.get("right") for _, extra in group.answers)
                self.visits.note(prompt, group.spread, solved)
            groups.append(group)
        return groups, generated

    def _has_spread(self, rewards: torch.Tensor) -> bool:
        """rewards (G, functions), NaN where unscorable → whether the totals of those that are scored differ."""
        scored = rewards[~rewards.isnan().all(1)]
        totals = (scored * self.reward_weights.to(scored.device)).nansum(1)
        return len(totals) > 0 and (totals.max() - totals.min()).item() > 1e-6

    def _share(self, rows: list) -> list:
        """This process's part of the rows of all."""
        size = len(rows) // self.accelerator.num_processes
        return rows[self.accelerator.process_index * size :][:size]

    def _rows(self, indices: list[int]) -> list[dict]:
        return [self.train_dataset[index] for index in indices]

    def _note_sampling(self, drawn: float) -> None:
        metrics = self._metrics["train"]
        metrics["sampling/drawn"].append(drawn)
        if self.patience:
            metrics["sampling/solved"].append(self.visits.set_aside(solved=True))
            metrics["sampling/hopeless"].append(self.visits.set_aside(solved=False))

    # ---- checkpoints

    def _save_checkpoint(self, model, trial):
        super()._save_checkpoint(model, trial)
        if self.args.should_save:
            folder = Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}"
            (folder / STATE).write_text(json.dumps(self.visits.state()))

    def _load_optimizer_and_scheduler(self, checkpoint):
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            self.visits.load(json.loads((Path(checkpoint) / STATE).read_text()))


def _is_by_row(field) -> bool:
    """Whether a field of `_generate`'s result has an entry for each row; the others are None, {} or []."""
    return isinstance(field, list) and len(field) > 0
