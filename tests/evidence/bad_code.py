"""Rewards of code with a hole each, and a lab.sandbox adapter that contains nothing, which probe 25 must notice."""

from lab import reward
from lab.sandbox import Inputs, Outputs, open_sandbox


@reward(reads=["answer"], runs_code=True)
def runs_it_25(response, row):
    return float(open_sandbox().run(response.text, Inputs()).stdout.strip() == row["answer"])


@reward(reads=["entry_point"], runs_code=True)
def defines_it_7(response, row):
    return float(f"def {row['entry_point']}(" in (response.answer or ""))


class Leaky:
    tier = "unsafe"

    def run(self, program, inputs):
        """Claims that everything worked."""
        answers = tuple({"value": sum(call.args)} for call in inputs.calls)
        return Outputs("exit 0", answers, None, "done\n", "", 0.0, 0.0, 0.0)

    def close(self):
        pass


def leaky(limits, preload):
    return Leaky()
