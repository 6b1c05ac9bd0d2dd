"""The reasoning lab: define a reward task once; train on it, audit it, benchmark it."""

from lab.response import Response
from lab.reward import Reward, Row, Score, reward
from lab.task import Task

__all__ = ["Response", "Reward", "Row", "Score", "Task", "reward"]
