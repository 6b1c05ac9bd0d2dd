"""The batch plan: what the user leaves open is solved, what cannot divide is refused with what can."""

import pytest

from lab.errors import UserError
from lab.plan import MICRO_BATCH, plan_batch, shared_to_the_end


@pytest.mark.parametrize("processes", [1, 2, 4])
@pytest.mark.parametrize("prompts, answers", [(4, 8), (6, 4), (128, 16)])
def test_the_equation_holds(prompts, answers, processes):
    plan = plan_batch("grpo", prompts, answers, processes)
    assert plan.prompts * plan.answers == plan.processes * plan.micro_batch * plan.accumulation
    assert plan.micro_batch <= MICRO_BATCH
    assert f"{prompts} prompts × {answers} answers = {prompts * answers} rows" in plan.equation


def test_the_number_of_prompts_follows_from_trls_own_sizes():
    assert plan_batch("grpo", None, 8, 2, micro_batch=16, accumulation=2).prompts == 8


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"prompts": 4, "answers": 8, "processes": 1, "micro_batch": 7}, "may be 1, 2, 4, 8, 16, 32"),
        ({"prompts": 4, "answers": 8, "processes": 1, "accumulation": 3}, "may be 1, 2, 4, 8, 16, 32"),
        (
            {"prompts": 4, "answers": 8, "processes": 1, "micro_batch": 8, "accumulation": 2},
            "accumulation_steps left out",
        ),
        ({"prompts": None, "answers": 8, "processes": 1, "micro_batch": 12}, "make it 8 or 16 rows"),
        ({"prompts": 3, "answers": 3, "processes": 2}, "use prompts_per_step 2 or 4"),
    ],
)
def test_what_does_not_divide_is_refused_with_what_does(arguments, said):
    with pytest.raises(UserError, match=said):
        plan_batch("grpo", **arguments)


def test_an_epochs_last_smaller_step_is_shared_alike_too():
    plan = plan_batch("sft", 8, 1, processes=2)
    assert (plan.micro_batch, plan.accumulation) == (4, 1)
    last = shared_to_the_end(plan, 20)  # 8, 8 and 4 rows, two of them on each process
    assert (last.micro_batch, last.accumulation) == (2, 2)
    assert shared_to_the_end(plan, 24) == plan
    with pytest.raises(UserError, match="25 demonstrations leave 1 for .* use demonstrations 24 or 26"):
        shared_to_the_end(plan, 25)
    alone = plan_batch("sft", 8, 1, processes=1)
    assert shared_to_the_end(alone, 25) == alone
