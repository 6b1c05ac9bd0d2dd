"""The reasoning lab: define a reward task once; train on it, audit it, benchmark it."""
