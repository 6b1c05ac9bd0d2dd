"""The batch plan: prompts a step × answers a prompt = processes × micro-batch × accumulation."""

import dataclasses
import math
from dataclasses import dataclass

from lab.errors import UserError

MICRO_BATCH = 32  # rows a device takes at once unless told: small models on a laptop, and logits stay under a gigabyte


@dataclass(frozen=True)
class BatchPlan:
    """How one optimizer step is cut up. rows = prompts × answers = processes × micro_batch × accumulation."""

    prompts: int
    answers: int  # generations a prompt; 1 in SFT
    processes: int
    micro_batch: int
    accumulation: int
    tokens: int | None = None  # the longest completion

    @property
    def equation(self) -> str:
        left = f"{self.prompts} prompts × {self.answers} answers" if self.answers > 1 else f"{self.prompts} examples"
        right = f"{self.processes} process{'es' * (self.processes > 1)} × {self.micro_batch} rows"
        tokens = f", each ≤ {self.tokens} tokens" if self.tokens else ""
        rows = self.prompts * self.answers
        return f"{left} = {rows} rows a step{tokens} = {right} × {self.accumulation} accumulation"


def plan_batch(
    section: str,
    prompts: int | None,
    answers: int,
    processes: int,
    micro_batch: int | None = None,
    accumulation: int | None = None,
    tokens: int | None = None,
    default_prompts: int = 8,
) -> BatchPlan:
    """Solves for what the user left open; raises UserError, with the sizes that would do, where it does not divide.

    prompts, micro_batch, accumulation: None where the user did not say.
    """
    if prompts is None and micro_batch is not None:
        rows = micro_batch * processes * (accumulation or 1)
        if rows % answers:
            low, high = max(rows // answers, 1) * answers, (rows // answers + 1) * answers
            raise UserError(
                f"{section}: {processes} process × per_device_train_batch_size {micro_batch} × "
                f"gradient_accumulation_steps {accumulation or 1} = {rows} rows a step, which is no multiple of "
                f"num_generations {answers}: make it {low}{f' or {high}' if high != low else ''} rows, or give "
                "prompts_per_step and leave the other two out"
            )
        prompts = rows // answers
    prompts = prompts or default_prompts
    rows = prompts * answers
    if rows % processes:
        fitting = _nearest(prompts, lambda p: p * answers % processes == 0)
        cut = f"{prompts} prompts × {answers} answers = {rows} rows" if answers > 1 else f"{rows} examples"
        field = "prompts_per_step" if answers > 1 else "examples_per_step"
        raise UserError(f"{section}: {cut} a step do not divide among {processes} processes: use {field} {fitting}")
    share = rows // processes
    if micro_batch is None and accumulation is None:
        micro_batch = max(size for size in range(1, min(share, MICRO_BATCH) + 1) if share % size == 0)
    given = micro_batch if micro_batch is not None else accumulation
    name = "per_device_train_batch_size" if micro_batch is not None else "gradient_accumulation_steps"
    other = share // given if given and share % given == 0 else 0
    wanted = accumulation if micro_batch is not None else None
    if not other or (wanted is not None and wanted != other):
        sizes = ", ".join(str(size) for size in range(1, share + 1) if share % size == 0)
        got = f"{name} {given}" + (f" × gradient_accumulation_steps {wanted}" if wanted is not None else "")
        raise UserError(
            f"{section}: {rows} rows a step ({prompts} prompts × {answers} answers) on {processes} process"
            f"{'es' * (processes > 1)} cannot be cut by {got}: {name} may be {sizes}"
            + (", with gradient_accumulation_steps left out" if wanted is not None else "")
        )
    micro, accum = (given, other) if micro_batch is not None else (other, given)
    return BatchPlan(prompts, answers, processes, micro, accum, tokens)


def shared_to_the_end(plan: BatchPlan, examples: int) -> BatchPlan:
    """SFT's plan for `examples` rows an epoch, of whose last, smaller step each process gets as many rows, too.

    Otherwise accelerate would fill that step up with rows seen before: another experiment than one process makes.
    Raises UserError, with the numbers of examples that would do, where the processes cannot share it.
    """
    left, processes = examples % plan.prompts, plan.processes
    if left % processes:
        fitting = _nearest(examples, lambda n: n % plan.prompts % processes == 0)
        raise UserError(
            f"sft: {examples} demonstrations leave {left} for an epoch's last step, which {processes} processes cannot "
            f"share alike: use demonstrations {fitting}"
        )
    if processes == 1:
        return plan
    micro = math.gcd(plan.micro_batch, left // processes)
    return dataclasses.replace(plan, micro_batch=micro, accumulation=plan.micro_batch * plan.accumulation // micro)


def _nearest(number: int, fits) -> str:
    below = next((n for n in range(number - 1, 0, -1) if fits(n)), None)
    above = next(n for n in range(number + 1, number * 1000 + 1000) if fits(n))
    return f"{below} or {above}" if below else str(above)
