"""Untrusted Python: run a program that the model wrote, get back what it returned, and lose nothing else."""

from lab.sandbox.client import ForkServer
from lab.sandbox.exchange import Call, Inputs, Outputs, SandboxError
from lab.sandbox.limits import Limits
from lab.sandbox.tiers import (
    HONEST,
    TIERS,
    UNSAFE,
    VARIABLE,
    Sandbox,
    Tier,
    check_name,
    checked,
    missing,
    open_sandbox,
    provenance,
    self_test,
)

__all__ = [
    "HONEST", "TIERS", "UNSAFE", "VARIABLE", "Call", "ForkServer", "Inputs", "Limits", "Outputs", "Sandbox",
    "SandboxError", "Tier", "check_name", "checked", "missing", "open_sandbox", "provenance", "self_test",
]  # fmt: skip
