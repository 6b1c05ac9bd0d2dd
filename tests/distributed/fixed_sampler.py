"""The command `lab` with GRPO's sampling replaced by a table: the same answers on any number of processes.

Answer g to a prompt at a step depends on the prompt's tokens, g and the step alone. A rank finds its rows' place in the
step from its number, as TRL deals a step's rows to the ranks in order. What is graded goes to the file $GRADED names.
$LOST, "rank step SIGNAL", names the rank and the step that send themselves SIGKILL or SIGSTOP instead of sampling.
"""

import json
import os
import random
import signal

from trl import GRPOTrainer

from lab.cli import main
from lab.scoring import Scorer

built, grade = GRPOTrainer.__init__, Scorer.grade


def with_the_table(self, *args, **kwargs):
    built(self, *args, **kwargs)

    def answers(prompt_ids, images, multimodal_fields, num_generations, has_tool_images=False):
        first = self.accelerator.process_index * len(prompt_ids)
        *place, name = os.environ.get("LOST", "nowhere").split()
        if place == [str(self.accelerator.process_index), str(self.state.global_step)]:
            os.kill(os.getpid(), signal.Signals[name])
        digits = [self.processing_class(text=str(d), add_special_tokens=False)["input_ids"][-1] for d in range(10)]
        completions = []
        for place, ids in enumerate(prompt_ids, start=first):
            rng = random.Random(f"{ids} {place % num_generations} {self.state.global_step}")
            ending = [self.eos_token_ids[0]] if rng.random() < 0.9 else [rng.choice(digits)] * 3
            completions.append([rng.choice(digits) for _ in range(rng.choice([1, 1, 1, 2]))] + ending)
        return [c[: self.args.max_completion_length] for c in completions], None

    self._generate_single_turn = answers


def written_down(self, responses, rows, keep_going=False):
    if not keep_going:  # training: golds and evaluation keep going
        with open(os.environ["GRADED"], "a") as file:
            for response, row in zip(responses, rows):
                entry = {"rank": int(os.environ.get("RANK", 0)), "row": row["digits"], "text": response.text}
                file.write(json.dumps(entry) + "\n")
    return grade(self, responses, rows, keep_going)


GRPOTrainer.__init__, Scorer.grade = with_the_table, written_down

if __name__ == "__main__":
    main()
