"""An adapter of a user's own, that scoring workers can import: it answers every call with 42 and runs nothing."""

from lab.sandbox import Outputs


class Oracle:
    tier = "C"

    def run(self, program, inputs):
        return Outputs("exit 0", tuple({"value": 42} for _ in inputs.calls), None, "", "", 0.0, 0.0, 0.0)

    def close(self):
        pass


def oracle(limits, preload):
    return Oracle()
