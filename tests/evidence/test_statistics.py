"""Published worked examples, exhaustive counts, and the coverage of every 95 % interval by simulation."""

from itertools import combinations

import numpy
import pytest

from lab.evidence import statistics

SETS = 2_000
NOMINAL = (0.93, 0.97)


def coverage(intervals, truth) -> float:
    return sum(low <= truth <= high for low, high in intervals) / len(intervals)


@pytest.mark.parametrize(
    "successes, n, low, high",
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_table_of_newcombe_1998(successes, n, low, high):
    assert statistics.wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_stays_inside_zero_and_one():
    for n in (1, 7, 200, 12_345):
        low, high = statistics.wilson(0, n)
        assert low == 0.0 < high < 1.0
        low, high = statistics.wilson(n, n)
        assert 0.0 < low < high == 1.0


@pytest.mark.parametrize("share", [0.03, 0.4, 0.86, 0.98])
def test_wilson_covers_the_truth(share):
    successes = numpy.random.default_rng(1).binomial(200, share, SETS)
    assert NOMINAL[0] <= coverage([statistics.wilson(s, 200) for s in successes], share) <= NOMINAL[1]


def test_paired_change_gives_the_example_of_fagerland_lydersen_laake_2014():
    # Airway hyper-responsiveness before and after a transplantation: 1 and 1 / 7 and 12 of 21 children.
    before = [True] * 2 + [False] * 19
    after = [True] + [False] + [True] * 7 + [False] * 12
    change = statistics.paired_change(before, after)
    assert change.difference == pytest.approx(6 / 21)
    assert (change.low, change.high) == pytest.approx((0.026, 0.517), abs=5e-4)
    assert change.p == pytest.approx(0.0703, abs=5e-5)


def test_paired_change_has_a_width_where_no_row_changed_and_where_all_did():
    same = statistics.paired_change([True] * 200, [True] * 200)
    assert same.difference == 0 and same.p == 1 and -0.03 < same.low < 0 < same.high < 0.03
    all_gained = statistics.paired_change([False] * 200, [True] * 200)
    assert all_gained.difference == 1 and 0.9 < all_gained.low < all_gained.high == 1 and all_gained.p < 1e-50
    halves = statistics.paired_change([0.5] * 200, [0.5] * 200)
    assert (halves.low, halves.high) == (same.low, same.high)


@pytest.mark.parametrize("before, gained, lost", [(0.0, 0.4, 0.0), (0.4, 0.5, 0.1), (0.95, 0.8, 0.04), (0.5, 0.1, 0.1)])
def test_paired_change_covers_the_truth(before, gained, lost):
    """`gained` of the wrong rows turn right, `lost` of the right ones turn wrong."""
    rng = numpy.random.default_rng(2)
    truth = (1 - before) * gained - before * lost
    intervals = []
    for _ in range(SETS):
        was = rng.random(200) < before
        now = numpy.where(was, rng.random(200) >= lost, rng.random(200) < gained)
        change = statistics.paired_change(was.tolist(), now.tolist())
        intervals.append((change.low, change.high))
    assert NOMINAL[0] <= coverage(intervals, truth) <= NOMINAL[1]


def test_a_change_of_k_samples_a_row_covers_the_truth(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 500)
    monkeypatch.setattr(statistics, "sign_flip", lambda *_: 1.0)  # the p value, not looked at here, takes most of it
    rng = numpy.random.default_rng(3)
    intervals = []
    for _ in range(SETS):
        chance = rng.beta(1, 2, 60)  # a row's own difficulty; training lifts each row by a third of what it lacks
        before = rng.binomial(4, chance) / 4
        after = rng.binomial(4, chance + (1 - chance) / 3) / 4
        change = statistics.paired_change(before.tolist(), after.tolist())
        intervals.append((change.low, change.high))
    assert NOMINAL[0] <= coverage(intervals, (1 - 1 / 3) / 3) <= NOMINAL[1]


def test_rows_are_resampled_whole(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 500)
    rng = numpy.random.default_rng(4)
    whole, loose = [], []
    for _ in range(SETS):
        right_PK = rng.random((50, 8)) < rng.beta(0.6, 0.9, (50, 1))
        estimate = statistics.over_rows(right_PK.mean(axis=1))
        whole.append((estimate.low, estimate.high))
        loose.append(statistics.wilson(int(right_PK.sum()), right_PK.size))
    assert NOMINAL[0] <= coverage(whole, 0.4) <= NOMINAL[1]
    assert coverage(loose, 0.4) < 0.8  # 400 samples of 50 rows are not 400 rows


def test_rows_that_are_hardly_ever_right_are_covered_too(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 500)
    rng = numpy.random.default_rng(9)
    chances = rng.beta(0.05, 2, (SETS, 200))  # 2 % are right, most of them of a few rows: the means are skewed
    estimates = [statistics.over_rows(row) for row in rng.binomial(8, chances) / 8]
    assert NOMINAL[0] <= coverage([(e.low, e.high) for e in estimates], 0.05 / 2.05) <= NOMINAL[1]
    assert all(0 <= e.low <= e.value <= e.high <= 1 for e in estimates)


@pytest.mark.parametrize(
    "estimator, chance_of_four",
    [(statistics.pass_at_k, lambda chance: 1 - (1 - chance) ** 4), (statistics.pass_hat_k, lambda chance: chance**4)],
    ids=["pass@k", "pass^k"],
)
@pytest.mark.parametrize("n", [4, 8])  # with 4 samples a row is 0 or 1, as in the benchmark's table
def test_pass_at_k_and_pass_hat_k_over_rows_cover_the_truth(estimator, chance_of_four, n, monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 500)
    rng = numpy.random.default_rng(5)
    truth = chance_of_four(rng.beta(0.6, 0.9, 1_000_000)).mean()
    of = [estimator(n, right, 4) for right in range(n + 1)]
    intervals = []
    for _ in range(SETS):
        estimate = statistics.over_rows([of[right] for right in rng.binomial(n, rng.beta(0.6, 0.9, 100))])
        intervals.append((estimate.low, estimate.high))
    assert NOMINAL[0] <= coverage(intervals, truth) <= NOMINAL[1]


def test_rows_that_all_agree_are_not_certain():
    assert statistics.over_rows([0.0] * 30) == (0.0, *statistics.wilson(0, 30), 30)
    assert statistics.over_rows([0.5] * 30).high - statistics.over_rows([0.5] * 30).low > 0.3


def test_pass_at_k_counts_every_choice():
    for n in range(1, 7):
        for c in range(n + 1):
            samples = [True] * c + [False] * (n - c)
            for k in range(1, n + 1):
                chosen = list(combinations(samples, k))
                assert statistics.pass_at_k(n, c, k) == pytest.approx(sum(map(any, chosen)) / len(chosen))
                assert statistics.pass_hat_k(n, c, k) == pytest.approx(sum(map(all, chosen)) / len(chosen))
    assert 0 < statistics.pass_at_k(10_000, 1, 100) < 1  # no overflow
    with pytest.raises(ValueError, match="1 ≤ k ≤ n"):
        statistics.pass_at_k(4, 2, 5)


def test_sign_flip_agrees_with_the_exact_test():
    from scipy.stats import permutation_test

    differences = [0.25, -0.25, 0.5, 0.75, 0.0, 0.5, -0.25, 1.0, 0.5]
    exact = permutation_test((differences,), numpy.mean, permutation_type="samples", n_resamples=numpy.inf)
    assert statistics.sign_flip(differences, seed=1) == pytest.approx(exact.pvalue, abs=0.01)


def test_seeds_are_aggregated_with_students_interval():
    rng = numpy.random.default_rng(6)
    runs = rng.normal(0.8, 0.05, (SETS, 3)).tolist()
    estimates = [statistics.over_seeds(run) for run in runs]
    assert NOMINAL[0] <= coverage([(e.low, e.high) for e in estimates], 0.8) <= NOMINAL[1]
    assert estimates[0].n == 3
    with pytest.raises(ValueError, match="2 or more"):
        statistics.over_seeds([0.8])


def test_holm_corrects_in_steps():
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    rng = numpy.random.default_rng(7)
    false_alarms = [min(statistics.holm(rng.random(5).tolist())) <= 0.05 for _ in range(SETS)]
    assert 0.03 <= numpy.mean(false_alarms) <= 0.07  # of any among five, not of each


def test_the_same_seed_gives_the_same_interval():
    before, after = numpy.random.default_rng(8).random((2, 40)).tolist()
    assert statistics.paired_change(before, after, seed=1) == statistics.paired_change(before, after, seed=1)
    assert statistics.over_rows(after, seed=1) != statistics.over_rows(after, seed=2)


def test_other_rows_are_refused():
    with pytest.raises(ValueError, match="same rows"):
        statistics.paired_change([True], [True, False])
