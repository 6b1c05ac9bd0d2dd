"""Statistics: how sure a share, a change or a pass@k is. Shares are 0..1; a row is the unit that is sampled."""

from collections.abc import Sequence
from math import comb, sqrt
from typing import NamedTuple

RESAMPLES = 10_000  # of a bootstrap or a sign-flip test


class Estimate(NamedTuple):
    """A mean with its confidence interval over n rows (or seeds)."""

    value: float
    low: float
    high: float
    n: int


class Change(NamedTuple):
    """after − before on the same rows, its confidence interval, and the p value of "nothing changed".

    low, high: None where the rows do not say how sure the difference is.
    """

    difference: float
    low: float | None
    high: float | None
    p: float


def wilson(successes: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927): honest near 0 and 1, where the ± of a normal is not."""
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}: give 0 ≤ successes ≤ n and n ≥ 1")
    z, share = _z(level), successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At the ends the two terms are equal, and rounding must not leave 1e-18 where 0 is meant.
    return (0.0 if successes == 0 else centre - half, 1.0 if successes == n else centre + half)


def paired_change(
    before: Sequence[bool | float], after: Sequence[bool | float], level: float = 0.95, seed: int = 0
) -> Change:
    """The change of the mean between two measurements of the same rows, both in the same order, each in 0..1.

    0/1 values: Tango's score interval (Statistics in Medicine 17:891, 1998) and McNemar's exact test.
    Other values (means over several samples): bootstrap over rows and a sign-flip test with `seed`.
    """
    if len(before) != len(after) or not len(before):
        raise ValueError(f"{len(before)} rows before, {len(after)} after: a paired change needs the same rows twice")
    if {*before, *after} <= {0, 1}:
        gained = sum(a > b for b, a in zip(before, after))
        lost = sum(a < b for b, a in zip(before, after))
        low, high = tango(gained, lost, len(before), level)
        return Change((gained - lost) / len(before), low, high, mcnemar(gained, lost))
    differences = [float(a) - float(b) for b, a in zip(before, after)]
    mean = sum(differences) / len(differences)
    if min(differences) == max(differences):  # resampling would call this certain
        n = len(differences)
        low, high = tango(n * max(mean, 0.0), n * max(-mean, 0.0), n, level)
    else:
        low, high = bootstrap_interval(differences, level, seed)
    return Change(mean, low, high, sign_flip(differences, seed))


def tango(gained: float, lost: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Score interval of (gained − lost) / n, where `gained` rows turned right and `lost` rows turned wrong."""
    from scipy.optimize import brentq

    z, observed = _z(level), (gained - lost) / n

    def score(delta: float) -> float:
        """Standardised distance of the observed change from `delta`; falls as delta rises."""
        # lost_share is the most likely share of lost rows if the true change were delta.
        b = -gained - lost + (2 * n - gained + lost) * delta
        c = -lost * delta * (1 - delta)
        lost_share = (sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
        variance = n * (2 * lost_share + delta * (1 - delta))
        distance = gained - lost - n * delta
        return distance / sqrt(variance) if variance > 1e-12 else distance * 1e9

    edge = 1 - 1e-9
    low = -1.0 if observed <= -edge else brentq(lambda delta: score(delta) - z, -edge, observed)
    high = 1.0 if observed >= edge else brentq(lambda delta: score(delta) + z, observed, edge)
    return low, high


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided exact p value that a changed row is as likely to be gained as lost."""
    from scipy.stats import binomtest

    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def sign_flip(differences: Sequence[float], seed: int = 0) -> float:
    """Two-sided p value of the mean difference when each row's sign could as well have been the other."""
    import numpy

    values = numpy.asarray(differences, dtype=float)
    rng = numpy.random.default_rng(seed)
    sums = numpy.array([values[rng.random(len(values)) < 0.5].sum() for _ in range(RESAMPLES)])
    flipped = values.sum() - 2 * sums
    as_extreme = numpy.abs(flipped) >= abs(values.sum()) - 1e-9
    return float((as_extreme.sum() + 1) / (RESAMPLES + 1))


def over_rows(values_P: Sequence[float], level: float = 0.95, seed: int = 0) -> Estimate:
    """The mean of one value a row, each in 0..1, with a confidence interval over rows.

    For k samples a row give each row's mean (or its pass@k): samples of one row are no independent evidence, so
    that rows are resampled whole (cluster bootstrap). 0/1 values need no bootstrap and get Wilson's interval. A
    compromise: of 30 rows of which hardly any is ever right (3 % of 8 samples each), it covers 91 % instead of 95.
    """
    values = [float(value) for value in values_P]
    total, n = sum(values), len(values)
    if set(values) <= {0.0, 1.0} or min(values) == max(values):
        # Where all rows agree, resampling would call the mean certain; Wilson knows that n rows are only n.
        return Estimate(total / n, *wilson(total, n, level), n)
    return Estimate(total / n, *bootstrap_interval(values, level, seed), n)


def bootstrap_interval(values_P: Sequence[float], level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """BCa bootstrap of the mean (Efron 1987), widened for few rows as Hesterberg 2015, section 5.3, has it.

    BCa, because where few rows are ever right the means are skewed, and their plain percentiles lie too low.
    """
    import numpy
    from scipy.stats import norm, t

    values = numpy.asarray(values_P, dtype=float)
    n, mean = len(values), values.mean()
    rng = numpy.random.default_rng(seed)
    at_once = max(1, 1_000_000 // n)  # resamples held in memory together
    sizes = [min(at_once, RESAMPLES - done) for done in range(0, RESAMPLES, at_once)]
    means = numpy.concatenate([values[rng.integers(0, n, (size, n))].mean(axis=1) for size in sizes])
    tied = numpy.isclose(means, mean, rtol=1e-12)
    bias = norm.ppf(((means < mean) & ~tied).mean() + tied.mean() / 2)
    away = values - mean
    acceleration = (away**3).sum() / (6 * (away**2).sum() ** 1.5)
    z = bias + sqrt(n / (n - 1)) * t.ppf([(1 - level) / 2, (1 + level) / 2], n - 1)
    low, high = numpy.quantile(means, norm.cdf(bias + z / (1 - acceleration * z)))
    return float(low), float(high)


def pass_at_k(n: int, c: int, k: int) -> float:
    """Chance that at least one of k samples is right, from c right ones among n (unbiased: Chen et al. 2021)."""
    _check_k(n, c, k)
    return 1.0 - comb(n - c, k) / comb(n, k)


def pass_hat_k(n: int, c: int, k: int) -> float:
    """Chance that all of k samples are right, from c right ones among n (pass^k: Yao et al. 2024)."""
    _check_k(n, c, k)
    return comb(c, k) / comb(n, k)


def _check_k(n: int, c: int, k: int) -> None:
    if not 1 <= k <= n or not 0 <= c <= n:
        raise ValueError(f"n={n}, c={c}, k={k}: give 1 ≤ k ≤ n samples and 0 ≤ c ≤ n right ones")


def over_seeds(values: Sequence[float], level: float = 0.95) -> Estimate:
    """The mean of one value a seed with Student's interval: how training varies, on the rows that they share."""
    from statistics import mean, stdev

    from scipy.stats import t

    if len(values) < 2:
        raise ValueError(f"{len(values)} seed(s): one run cannot say how runs vary, give 2 or more (better 3)")
    centre = mean(values)
    half = t.ppf((1 + level) / 2, len(values) - 1) * stdev(values) / sqrt(len(values))
    return Estimate(centre, centre - half, centre + half, len(values))


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected for how many they are (Holm 1979), in the order given: call those ≤ 0.05 changes."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = running
    return adjusted


def _z(level: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf((1 + level) / 2)
