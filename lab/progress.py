"""Progress: one live line per stage."""

import sys


class LiveLine:
    """A line that is rewritten in place on a terminal; elsewhere only what `done` says is printed."""

    def __init__(self, stream=None):
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()

    def show(self, text: str) -> None:
        if self.live:
            self.stream.write(f"\r\x1b[2K{text}")
            self.stream.flush()

    def done(self, text: str) -> None:
        self.stream.write(("\r\x1b[2K" if self.live else "") + text + "\n")
        self.stream.flush()

    def alarm(self, text: str) -> None:
        """A line in red, where the output is a terminal."""
        self.done(f"\x1b[31m{text}\x1b[0m" if self.live else text)


def bar(stage: str, done: int, total: int, seconds: float, detail: str = "") -> str:
    """One line of progress: stage, steps, what matters, time left."""
    left = seconds / done * (total - done) if done else 0
    return f"{stage:5} {done:>4}/{total}  {detail}{'  ' if detail else ''}{clock(left)} left"


def clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}" if minutes >= 60 else f"{minutes}:{seconds:02}"
