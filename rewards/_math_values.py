"""What a scalar tree is worth: exactly where it is rational, else to 60 digits at given values of its symbols."""

import cmath
import math
from fractions import Fraction

from rewards._math_tree import Node

DIGITS = 60
MAX_BITS = 20_000  # of an exact numerator or denominator
MAX_LOG = 100_000.0  # |ln| of the largest magnitude computed: e^100000
MAX_ARGUMENT = 1e30  # of a trigonometric function: more would need more digits than we carry
MAX_FACTORIAL = 10_000


class Refused(ArithmeticError):
    """Too large to be worked out, or undefined here."""


def exact(node: Node) -> Fraction | None:
    """The value of a tree of rational numbers and + - * / and whole powers; None for any other, or a huge one."""
    try:
        return _exact(node)
    except (Refused, ZeroDivisionError):
        return None


def _exact(node: Node) -> Fraction:
    if node.kind == "num":
        return node.data
    if node.kind not in ("neg", "add", "mul", "div", "pow"):
        raise Refused(node.kind)
    values = [_exact(part) for part in node.parts]
    if node.kind == "neg":
        value = -values[0]
    elif node.kind == "add":
        value = sum(values)
    elif node.kind == "mul":
        value = math.prod(values, start=Fraction(1))
    elif node.kind == "div":
        value = values[0] / values[1]
    else:
        base, power = values
        size = max(base.numerator.bit_length(), base.denominator.bit_length())
        if power.denominator != 1 or abs(power) * size > MAX_BITS:
            raise Refused("a power too large, or a root")
        value = base ** int(power)
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise Refused("too many digits")
    return value


def symbols(node: Node) -> set[str]:
    """The names of a tree's free symbols."""
    if node.kind == "sym":
        return {node.data}
    return set().union(*(symbols(part) for part in node.parts))


def quick(node: Node, point: dict[str, Fraction]) -> complex | None:
    """The tree's value in double precision; None where that cannot be told (overflow, a pole, a factorial)."""
    try:
        value = complex(_numeric(node, point, cmath))
    except (ArithmeticError, ValueError, TypeError):
        return None
    return value if cmath.isfinite(value) else None


def precise(node: Node, point: dict[str, Fraction], digits: int = DIGITS):
    """The tree's value as an mpmath number of 60 digits, or more. Raises Refused where there is none."""
    import mpmath

    with mpmath.workdps(digits):
        try:
            value = mpmath.mpmathify(_numeric(node, point, mpmath))
        except (ArithmeticError, ValueError, TypeError) as error:
            raise Refused(str(error)) from None
        if not mpmath.isfinite(value):
            raise Refused("no finite value")
        return value


def magnitude(value) -> int:
    """The power of ten that an mpmath number is near; 0 for 0."""
    import mpmath

    return int(mpmath.log10(abs(value))) if value else 0


def close(a, b, scale=None, digits: int = DIGITS) -> bool:
    """Whether two mpmath numbers agree to 45 digits of the larger."""
    import mpmath

    with mpmath.workdps(digits):
        size = max(abs(a), abs(b)) if scale is None else scale
        return abs(a - b) <= size * mpmath.mpf(10) ** -45


def _numeric(node: Node, point, m):
    """One recursion for both precisions: `m` is cmath or mpmath."""
    kind = node.kind
    if kind == "num":
        return _number(node.data, m)
    if kind == "sym":
        value = point[node.data]
        return _number(value[0], m) + 1j * _number(value[1], m) if isinstance(value, tuple) else _number(value, m)
    if kind == "const":
        if node.data == "inf":
            raise Refused("infinite")
        return {"pi": m.pi, "e": m.e, "i": 1j}[node.data] * 1
    values = [_numeric(part, point, m) for part in node.parts]
    if kind == "neg":
        return -values[0]
    if kind == "add":
        return sum(values[1:], values[0])
    if kind == "mul":
        return math.prod(values[1:], start=values[0])
    if kind == "div":
        return values[0] / values[1]
    if kind == "degree":
        return values[0] * m.pi / 180
    if kind == "pow":
        odd = symbols(node.parts[0]) and exact(node.parts[1])
        if odd and odd.denominator % 2 and odd.denominator > 1:  # x^{1/3} is the real root of a negative x, too
            return _power(_root(values[0], values[0] * 0 + odd.denominator, m), values[0] * 0 + odd.numerator, m)
        return _power(*values, m)
    if kind == "root":
        return _root(*values, m)
    if kind == "apply":  # an unknown function: any that tells its arguments apart
        _bounded(*values)
        return values[0] + sum(m.cos(value * (k + 3) / 2 + values[0]) * (k + 1) for k, value in enumerate(values[1:]))
    if kind == "call" and node.data in _CALLS:
        return _CALLS[node.data](m, *values)
    raise Refused(f"no value for {kind} {node.data}")


def _number(value: Fraction, m):
    if m is cmath:
        return value.numerator / value.denominator
    return m.mpf(value.numerator) / value.denominator


def _power(base, power, m):
    if base == 0:
        if power == 0:
            raise Refused("0^0")
        if _real(power) < 0:
            raise Refused("a power of 0")
        return base
    if abs(power) * abs(_log_size(base, m)) > MAX_LOG:
        raise Refused("a power too large")
    if m is cmath and isinstance(base, float) and base < 0 and not float(_real(power)).is_integer():
        base = complex(base)
    return base**power


def _log_size(value, m) -> float:
    size = abs(value)
    return float(m.log(size).real) if m is cmath else float(m.log(size)) or 1.0


def _root(value, degree, m):
    whole = _real(degree)
    if whole != int(whole) and _imaginary(degree) == _imaginary(value) == 0 < _real(value):
        return _power(value, 1 / degree, m)  # the e-th root of e
    if whole != int(whole) or not 1 < whole <= 100:
        raise Refused("a root of such a degree")
    if _imaginary(value) == 0 and _real(value) < 0 and int(whole) % 2:
        return -_power(-_real(value), 1 / degree if m is cmath else m.mpf(1) / degree, m)
    if whole == 2:
        return m.sqrt(value)
    return _power(value, 1 / degree if m is cmath else m.mpf(1) / degree, m)


def _real(value):
    return value.real


def _imaginary(value):
    return value.imag


def _ordered(value):
    if _imaginary(value) != 0:
        raise Refused("a complex number has no order")
    return _real(value)


def _bounded(*values) -> None:
    if any(abs(value) > MAX_ARGUMENT for value in values):
        raise Refused("an argument too large")


def _trigonometric(name: str, inverted: bool = False):
    def apply(m, x):
        _bounded(x)
        value = getattr(m, name)(x)
        return 1 / value if inverted else value

    return apply


def _exponential(m, x):
    if abs(x) > MAX_LOG:
        raise Refused("a power too large")
    return m.exp(x)


def _hyperbolic(name: str):
    def apply(m, x):
        if abs(x) > MAX_LOG:
            raise Refused("a power too large")
        return getattr(m, name)(x)

    return apply


def _factorial(m, n):
    if m is cmath or abs(n) > MAX_FACTORIAL:
        raise Refused("a factorial")
    return m.factorial(n)


def _binomial(m, n, k):
    if m is cmath or max(abs(n), abs(k)) > MAX_FACTORIAL:
        raise Refused("a binomial")
    return m.binomial(n, k)


def _floor(m, x):
    return math.floor(_ordered(x)) if m is cmath else m.floor(_ordered(x))


def _log(m, x, base=None):
    return m.log(x) if base is None else m.log(x) / m.log(base)


def _common_log(m, x, base=None):
    # Without a base it is ln to some and log10 to others: a base that is neither makes it equal to itself alone.
    return _log(m, x, 7.3125 if base is None else base)


_CALLS = {
    **{name: _trigonometric(name) for name in ("sin", "cos", "tan")},
    **{name: _trigonometric(of, inverted=True) for name, of in {"sec": "cos", "csc": "sin", "cot": "tan"}.items()},
    **{f"arc{name}": _trigonometric(f"a{name}") for name in ("sin", "cos", "tan")},
    **{name: _hyperbolic(name) for name in ("sinh", "cosh", "tanh")},
    "cis": lambda m, x: _exponential(m, 1j * x),
    "ln": _log, "log": _common_log, "log10": lambda m, x: _log(m, x, 10), "exp": _exponential,
    "abs": lambda m, x: abs(x), "factorial": _factorial, "binom": _binomial,
    "floor": _floor, "ceil": lambda m, x: -_floor(m, -x),
}  # fmt: skip
