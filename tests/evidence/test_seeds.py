"""Several seeds in one table: the mean over them, each one's paired gain, and no table of runs that differ further."""

import json
import re
import shutil
from statistics import mean

import pytest
from test_report import make_run

from lab.errors import UserError
from lab.evidence.seeds import table
from lab.evidence.statistics import holm, over_seeds
from lab.runs import Run


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Three runs that differ in nothing but their seeds, given in another order than the seeds'."""
    return [make_run(tmp_path_factory.mktemp("runs") / f"of {seed}", seed=seed) for seed in (2, 0, 1)]


def stages(folder):
    return json.loads((folder / "summary.json").read_text())["stages"]


def test_the_table_over_three_seeds(lab, folders):
    done = lab("report", *folders)
    assert done.returncode == 0, done.stderr
    head, *lines = done.stdout.splitlines()
    assert head.startswith("held-out largest, n = 200, greedy, over 3 seeds ") and head.endswith("p (Holm, 6 tests)")
    assert len(lines) == 12 and [line.split()[:2] for line in lines[1:4]] == [["seed", f"{i},"] for i in range(3)]
    grpo = [stages(folder)["grpo"] for folder in folders]
    accuracy, change = (over_seeds([stage[name] for stage in grpo]) for name in ("accuracy", "change"))
    numbers = [float(n) for n in re.findall(r"[-+]?\d+\.\d", lines[8].replace("−", "-"))]
    expected = [accuracy.value, accuracy.low, accuracy.high, change.value, change.low, change.high]
    assert numbers == pytest.approx([100 * value for value in expected], abs=0.051)
    assert numbers[0] == pytest.approx(100 * mean(stage["accuracy"] for stage in grpo), abs=0.051)


def test_a_seeds_own_line_has_its_paired_change_and_the_corrected_p(folders):
    shown = table([Run(folder) for folder in folders]).splitlines()
    in_order = [stages(folder) for folder in (folders[1], folders[2], folders[0])]
    p_values = holm([run[stage]["change_p"] for stage in ("sft", "grpo") for run in in_order])
    for line, run, p in zip(shown[10:], in_order, p_values[3:], strict=True):
        assert f"{100 * run['grpo']['accuracy']:.1f} %" in line and f"+{100 * run['grpo']['change']:.1f} [+" in line
        assert line.endswith("< 0.001" if p < 0.001 else f"{p:.3f}")


def test_where_all_seeds_agree_the_rows_say_how_sure_it_is(folders):
    base = table([Run(folder) for folder in folders]).splitlines()[1]
    assert base.split()[-4:] == ["0.0", "%", "[0.0,", "1.9]"]


def other_run(folder, to, **summary):
    shutil.copytree(folder, to)
    was = json.loads((to / "summary.json").read_text())
    (to / "summary.json").write_text(json.dumps(was | summary))
    return to


def test_other_runs_are_refused_in_one_sentence(lab, folders, tmp_path):
    config = "model: smollm2-135m-instruct\ntask: largest\ngrpo:\n  learning_rate: 3.0e-05\n"
    other = other_run(folders[0], tmp_path / "rate", seed=7)
    (other / "config.yaml").write_text(config)
    done = lab("report", folders[0], other)
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1
    assert "not one experiment, grpo.learning_rate is 2e-05 in the one and 3e-05 in the other" in done.stderr

    half_done = {name: stage for name, stage in stages(folders[0]).items() if name != "grpo"}
    with pytest.raises(UserError, match="evaluated stages is"):
        table([Run(folders[0]), Run(other_run(folders[0], tmp_path / "half", seed=7, stages=half_done))])
    with pytest.raises(UserError, match="both have the seed 2: give one run of each seed"):
        table([Run(folders[0]), Run(other_run(folders[0], tmp_path / "twin"))])
    changed = other_run(folders[0], tmp_path / "task", seed=7)
    (changed / "provenance.json").write_text(json.dumps({"tasks": {"largest": {"sha256": "1"}}}))
    with pytest.raises(UserError, match="the task file's sha256.largest is None in the one and '1' in the other"):
        table([Run(folders[0]), Run(changed)])
