"""Dynamic sampling (DAPO, Yu et al., 2503.14476): other prompts in place of groups whose answers all earn the same."""

import torch

from lab.errors import UserError


class DynamicSampling:
    """Put before a GRPOTrainer: `class Trainer(DynamicSampling, SharedPrefixTrainer): rounds = 2`.

    Groups of a generation batch without spread are replaced by groups of prompts drawn anew from the dataset, in at
    most `rounds` further rounds; what is still missing then is filled with groups without spread. "sampling/drawn" is
    the number of groups answered, over that of the batch. Prompts are drawn with torch's random numbers, whose state
    a checkpoint holds. On one process only: groups would have to move between ranks.
    """

    rounds = 2
    _settled: tuple | None = None  # what `_generate` and `_calculate_rewards` are to return, once it is chosen

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.accelerator.num_processes > 1:
            raise UserError(
                f"grpo.dynamic_sampling runs on one process, got {self.accelerator.num_processes}: set it to 0"
            )

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
        size = self.num_generations
        rows, generated, rewards, spread, wanted = [], [], [], [], len(inputs) // size
        candidates = list(inputs)
        for _ in range(1 + self.rounds):
            found = self._generate([row["prompt"] for row in candidates])
            scores = self._calculate_rewards(candidates, [row["prompt"] for row in candidates], found[3], found[1])
            rows, generated, rewards = [*rows, *candidates], [*generated, found], [*rewards, scores]
            spread += self._has_spread(scores)
            if sum(spread) >= wanted:
                break
            others = torch.randint(len(self.train_dataset), (wanted - sum(spread),)).tolist()
            candidates = [self.train_dataset[index] for index in others for _ in range(size)]
        self._metrics["train"]["sampling/drawn"].append(len(spread) / wanted)
        best = sorted(range(len(spread)), key=lambda group: not spread[group])[:wanted]
        chosen = [group * size + i for group in sorted(best) for i in range(size)]
        for column, values in self._pending_extra_logs.items():
            self._pending_extra_logs[column] = [values[i] for i in chosen]
        return [rows[i] for i in chosen], (_joined(generated, chosen), torch.cat(rewards)[chosen])

    def _has_spread(self, rewards: torch.Tensor) -> list[bool]:
        """rewards (rows, functions), NaN where unscorable → for each group, whether its totals differ."""
        totals = (rewards * self.reward_weights.to(rewards.device)).nansum(1)
        unscorable = rewards.isnan().all(1)
        highest = totals.masked_fill(unscorable, -torch.inf).view(-1, self.num_generations).amax(1)
        lowest = totals.masked_fill(unscorable, torch.inf).view(-1, self.num_generations).amin(1)
        return (highest - lowest > 1e-6).tolist()


def _joined(generated: list[tuple], chosen: list[int]) -> tuple:
    """`chosen` rows of several results of TRL's `_generate`: a list a field, or a field that is empty or None."""
    fields = []
    for parts in zip(*generated, strict=True):
        whole = [row for part in parts for row in part] if isinstance(parts[0], list) else None
        fields.append([whole[i] for i in chosen] if whole else parts[0])
    return tuple(fields)
