"""probes: the checks of `lab audit`, by number; each module holds those of one kind."""

from lab.evidence.probes import answers, context, machine, tricks
from lab.evidence.probes.probe import Finding, Probe

PROBES: dict[int, Probe] = {
    probe.number: probe
    for module in (answers, tricks, machine, context)
    for probe in sorted(module.PROBES, key=lambda probe: probe.number)
}

__all__ = ["PROBES", "Finding", "Probe"]
