"""A reward of code, and a lab.sandbox adapter that contains nothing: probe 25 must notice."""

from lab import reward
from lab.sandbox import Inputs, Outputs, open_sandbox


@reward(reads=["answer"], runs_code=True)
def runs_it_25(response, row):
    return float(open_sandbox().run(response.text, Inputs()).stdout.strip() == row["answer"])


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
