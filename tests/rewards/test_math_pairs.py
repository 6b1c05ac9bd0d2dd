"""Pairs made from values that are known: the same value in two notations is right, another value in any is wrong."""

import random
from fractions import Fraction

import pytest

from lab import Response
from rewards.math import math_answer

REWARD = math_answer()
WRAPS = [
    "\\boxed{{{}}}", "So the answer is $\\boxed{{{}}}$.", "<think>It is {}, no: 0.</think>\\[ \\boxed{{ {} }} \\]",
    "Adding up, we get\n\n$$\\boxed{{{}}}$$\n", "\\boxed{{{}}}\n\nAs checked, \\boxed{{{}}} holds.",
]  # fmt: skip
NO_VALUE = (
    r"{}!", r"{}i", r"{}\pi", r"{}^{{3}}", r"\sqrt{{{}}}", r"{}_{{13}}", r"{}\ldots", r"\ne {}", r"x>{}", r"x\le {}",
    r"({}, 1)", r"{} \text{{ or }} 1", r"{}, 1", r"\{{{}, 1\}}", r"\pm {}", r"{} : 7", r"\frac{{1}}{{{}}}", r"{}/97",
    r"{}\text{{ squared}}", r"{} \text{{ thousand}}", r"{}\text{{ halves}}", r"{}\text{{ tenths}}", r"-({})^2",
    r"{}\pm 1", r"\approx {}", r"{} + 1", r"{} \cdot 1", r"1 = {}", r"{}x", r"{}\text{{?}}", r"\text{{not }}{}",
    r"\text{{at least }}{}", r"\text{{about }}{}", r"{}\text{{ roughly}}", r"{}\text{{ (guess)}}", r"{}^\prime",
    r"{}\text{{ factorial}}", r"{}\text{{ mod }}7", r"x={}, y=1", r"[{}, 99]", r"\log {}", r"{} \text{{ and }} 1", r"",
    r"{}\,\%\text{{ of }}10", r"\overline{{{}}}", r"{}^{{-1}}", r"{}e3", r"{}'", r"\text{{half of }}{}",
    r"{}\text{{ is wrong}}",
    r"\text{{more than }}{}", r"\neg {}", r"{}-", r"{}+", r"{}\text{{ or so}}", r"\text{{twice }}{}", r"{}\cdot 10^3",
)  # fmt: skip


# fmt: off
def grouped(n, gap):
    return f"{n:,}".replace(",", gap)


def integer(rng, n=None):
    n = rng.choice([rng.randint(13, 99), rng.randint(100, 99_999), rng.randint(10**6, 10**9)]) if n is None else n
    forms = [f"{n}", f"{n}.", f"{n}.0", f"x = {n}", f"+{n}", f"{n}.00", f"\\text{{{n}}}", f"$ {n} $", f"{{{n}}}"]
    forms += [grouped(n, gap) for gap in (",", "\\,", "{,}", " ", "\\ ", ",\\!")] if n > 999 else []
    forms += [f"{n} \\text{{ apples}}", f"\\mathbf{{{n}}}", f"\\displaystyle {n}", f"{n} = k", f"\\text{{Total}} = {n}"]
    digits = list(str(n))
    i = rng.randrange(len(digits) - 1)
    swapped = int("".join([*digits[:i], digits[i + 1], digits[i], *digits[i + 2 :]]))
    others = {n + 1, n - 1, n * 10, n + 10, swapped, n // 10, n * 1000, n + 1000, 2 * n} - {n}
    wrong = [form for other in others for form in (f"{other}", f"{other}.0", f"x={other}", grouped(other, ","))]
    wrong += [f"-{n}", f"{n}.1", f"{n / 10}", f"0.{n}", f"{n}.5", f"-x = {n}", f"{n}^{{\\circ}}C, 1", f"{n}{n}"]
    wrong += [form.format(*[n] * form.count("{}")) for form in NO_VALUE]
    return [f"{n}"], forms, wrong


def decimal(value):
    """The exact decimal of a fraction, with a bar over its period."""
    whole, rest = divmod(abs(value.numerator), value.denominator)
    seen, digits = {}, ""
    while rest and rest not in seen:
        seen[rest] = len(digits)
        digit, rest = divmod(rest * 10, value.denominator)
        digits += str(digit)
    sign = "-" if value < 0 else ""
    if not rest:
        return f"{sign}{whole}.{digits or '0'}"
    start = seen[rest]
    return f"{sign}{whole}.{digits[:start]}\\overline{{{digits[start:]}}}"


def fraction_forms(value):
    a, b, sign = abs(value.numerator), value.denominator, "-" if value < 0 else ""
    forms = [f"{sign}\\{name}{{{a}}}{{{b}}}" for name in ("frac", "dfrac", "tfrac")] + [
        f"{sign}{a}/{b}",
        decimal(value),
    ]
    forms += [f"\\frac{{{sign}{a}}}{{{b}}}", f"{sign}{{{a} \\over {b}}}", f"x = {sign}\\frac{{{a}}}{{{b}}}"]
    if a > b:
        forms += [f"{sign}{a // b}\\frac{{{a % b}}}{{{b}}}", f"{sign}{a // b} {a % b}/{b}"]
    return forms


def fraction(rng):
    value = Fraction(rng.randint(2, 99) * rng.choice([1, -1]), rng.choice([3, 4, 6, 7, 8, 9, 11, 12, 16, 25, 40]))
    if value.denominator == 1:
        value += Fraction(1, 7)
    a, b = value.numerator, value.denominator
    others = {1 / value, -value, value + 1, Fraction(a + b + 1, b), Fraction(a, b + 1), value * 10, value / 10}
    others |= {Fraction(a // b * (a % b), b), value + Fraction(1, 10**7), Fraction(round(float(value), 3))}
    wrong = [form for other in others - {value} if other.denominator > 1 for form in fraction_forms(other)[:7]]
    wrong += [f"{float(value):.4f}"] if Fraction(f"{float(value):.4f}") != value else []
    wrong += [f"\\frac{{{a * 2}}}{{{b}}}", f"{a}:{b + 1}", f"({a}, {b})", f"{a}, {b}", f"\\approx {float(value):.2f}"]
    wrong += [f"\\frac{{{a}}}{{{b}}}\\%", f"\\binom{{{abs(a)}}}{{{b}}}", f"\\frac{{{a}}}{{{b}}}\\pi", f"{a}{b}"]
    return [f"\\frac{{{a}}}{{{b}}}", f"{a}/{b}"], fraction_forms(value), wrong


def surd(rng):
    a, b, c = rng.randint(2, 9), rng.choice([2, 3, 5, 7, 11, 13]), rng.choice([17, 19, 23])
    right = [rf"\frac{{{a}\sqrt{{{b}}}}}{{{c}}}", rf"\frac{{{a}}}{{{c}}}\sqrt{{{b}}}", rf"{a}\sqrt{{{b}}}/{c}"]
    right += [rf"\dfrac{{\sqrt{{{a * a * b}}}}}{{{c}}}", rf"\frac{{{a} \sqrt{b}}}{{{c}}}" if b < 10 else right[0]]
    right += [rf"\frac{{{a}{{\sqrt {{{b}}}}}}}{{{c}}}", rf"\frac{{{a * b}}}{{{c}\sqrt{{{b}}}}}", rf"({a}√{b})/{c}"]
    wrong = [rf"\frac{{{a + 1}\sqrt{{{b}}}}}{{{c}}}", rf"\frac{{{a}\sqrt{{{b + 1}}}}}{{{c}}}", rf"{a}\sqrt{{{b}}}"]
    wrong += [rf"\frac{{{a}\sqrt[3]{{{b}}}}}{{{c}}}", rf"-{right[0]}", rf"\pm{right[0]}", rf"\frac{{{a}{b}}}{{{c}}}"]
    wrong += [rf"\frac{{{a}+\sqrt{{{b}}}}}{{{c}}}", rf"\frac{{{b}\sqrt{{{a * a * b}}}}}{{{c}}}", rf"\sqrt{{{a}/{c}}}"]
    wrong += [rf"{float(a * b**0.5 / c):.{d}f}" for d in (2, 4, 10, 14)] + [rf"\sqrt{{\frac{{{a * b}}}{{{c}}}}}"]
    return right[:2], right, wrong


def angle(rng):
    a, b = rng.choice([1, 5, 7, 11, 13]), rng.choice([6, 9, 12, 18])
    degrees = Fraction(180 * a, b)
    right = [rf"\frac{{{a}\pi}}{{{b}}}", rf"\frac{{{a}}}{{{b}}}\pi", rf"{a}\pi/{b}", rf"{degrees}^\circ", rf"{a}π/{b}"]
    right += [rf"\frac{{{a}\pi}}{{{b}}} \text{{ radians}}", rf"\theta = \frac{{{a}\pi}}{{{b}}}"]
    wrong = [rf"\frac{{{a}\pi}}{{{b + 1}}}", rf"\frac{{{a}}}{{{b}}}", f"{degrees}", rf"{degrees}\pi", rf"-{right[0]}"]
    wrong += [rf"{degrees + 1}^\circ", rf"\frac{{{a}\pi}}{{{b}}}^\circ", rf"\frac{{{a}}}{{{b}\pi}}",
        rf"{degrees}\text{{ rad}}"]
    wrong += [rf"\frac{{{a}\pi^2}}{{{b}}}", rf"{float(degrees) * 3.14159265358979 / 180:.8f}", rf"{degrees}'"]
    return right[:1], right, wrong


def polynomial(rng):
    (a, b), v = rng.sample(range(2, 10), 2), rng.choice("xynt")
    right = [f"{v}^2+{a + b}{v}+{a * b}", f"({v}+{a})({v}+{b})", f"{a * b}+{a + b}{v}+{v}^{{2}}", f"({b}+{v})({v}+{a})"]
    right += [f"{a + b}{v} + {v}^2 + {a * b}", f"h = ({v}+{a})({v}+{b})"]
    wrong = [f"{v}^2+{a + b}{v}+{a * b + 1}", f"({v}-{a})({v}+{b})", f"{v}^2-{a + b}{v}+{a * b}",
        f"{v}^3+{a + b}{v}+{a * b}"]
    wrong += [f"w^2+{a + b}w+{a * b}", f"2({v}+{a})({v}+{b})", f"({v}+{a})+({v}+{b})", f"({v}+{a})({v}+{b})=0",
        f"-({v}+{a})({v}+{b})"]
    wrong += [f"{v}^2+{a + b}{v}", f"({v}+{a})^{b}", f"({v}+{a}, {v}+{b})", f"\\frac{{{v}+{a}}}{{{v}+{b}}}",
        f"({v.upper()}+{a})({v.upper()}+{b})"]
    wrong += [f"|({v}+{a})({v}+{b})|", f"f({v}^2)+{a + b}{v}+{a * b}", f"({v}+{a})({v}+{b})+10^{{-9}}",
        f"x_1^2+{a + b}x_1+{a * b}"]
    return right[:2], right, wrong


def interval(rng):
    a, b = sorted(rng.sample(range(-30, 30), 2))
    left, right_end = rng.choice("(["), rng.choice(")]")
    below, above = ("<" if left == "(" else "\\le "), ("<" if right_end == ")" else "\\leq ")
    french = f"{']' if left == '(' else '['}{a},{b}{'[' if right_end == ')' else ']'}"
    gold = f"{left}{a}, {b}{right_end}"
    right = [gold, f"\\left{left}{a},{b}\\right{right_end}", f"{a}{below}x{above}{b}", french, f"x\\in {gold}"]
    right += [f"{b}{above.replace('<', '>').replace('leq', 'ge')}x{below.replace('<', '>').replace('le', 'geq')}{a}"]
    other = {"(": "[", "[": "(", ")": "]", "]": ")"}
    wrong = [f"{other[left]}{a}, {b}{right_end}", f"{left}{a}, {b}{other[right_end]}", f"{left}{a}, {b + 1}{right_end}"]
    wrong += [f"{left}{-b}, {-a}{right_end}" if a != -b else "0", f"\\{{{a}, {b}\\}}", f"{left}{b}, {a}{right_end}",
        f"{a}, {b}"]
    wrong += [f"x{above}{b}", f"{a}{below}x", f"{left}{a}, {b}{right_end}\\cup\\{{{b + 2}\\}}",
        f"{left}{a}, \\infty)", f"{a}{below}x{above}{b + 1}"]
    wrong += [f"x<{a}\\text{{ or }}x>{b}", f"(-\\infty, {a})\\cup({b}, \\infty)",
        f"{other[left]}{a},{b}{other[right_end]}", f"{b - a}"]
    return [gold] if left + right_end != "()" else [f"{a}<x<{b}"], right, wrong


def collection(rng):
    items = rng.sample(range(-40, 40), rng.choice([2, 3]))
    mixed = rng.sample(items, len(items))
    listed, other = ", ".join(map(str, items)), ", ".join(map(str, mixed))
    changed = ", ".join(map(str, [items[0] + rng.choice([1, -1, 100]), *items[1:]]))
    right = [rf"\{{{listed}\}}", rf"\{{{other}\}}", other, r" \text{ and } ".join(map(str, mixed)),
        rf"x \in \{{{other}\}}"]
    right += [r" \text{ or } ".join(f"x = {item}" for item in mixed), rf"\left\{{{other}\right\}}", f"x = {other}"]
    wrong = [rf"\{{{changed}\}}" if len(set(changed.split(", "))) == len(items) else "0", changed, f"({listed})",
        f"[{listed}]"]
    wrong += [rf"\{{{listed}, 77\}}", f"{items[0]}", rf"\{{{', '.join(map(str, items[1:]))}\}}",
        listed.replace(",", ""), f"{sum(items)}.5"]
    wrong += [rf"\{{{', '.join(str(-i) for i in items)}\}}" if {-i for i in items} != set(items) else "0",
        rf"x \notin \{{{listed}\}}", f"|x| = {items[0]}"]
    wrong += [rf"\{{{listed}, \ldots\}}", rf"\mathbb{{R}} \setminus \{{{listed}\}}", f"x \\ne {listed}",
        f"({items[0]}, {items[1]})"]
    return [rf"\{{{listed}\}}", listed], right, wrong


def point(rng):
    a, b, c = rng.sample(range(-30, 30), 3)
    right = [f"({a}, {b}, {c})", f"({a},{b},{c})", rf"\left({a}, {b}, {c}\right)", f"x={a}, y={b}, z={c}",
        rf"({a},\ {b},\ {c})"]
    right += [f"(x,y,z) = ({a},{b},{c})", f"z={c}, y={b}, x={a}", rf"\langle {a}, {b}, {c}\rangle", f"P({a}, {b}, {c})"]
    wrong = [f"({b}, {a}, {c})", f"({a}, {c}, {b})", f"({a}, {b})", f"({a}, {b}, {c}, 0)", f"({a}, {b}, {c + 1})",
        f"x={b}, y={a}, z={c}"]
    wrong += [f"(z,y,x) = ({a},{b},{c})", f"({-a or 99}, {b}, {c})", rf"\{{{a},{b},{c}\}}", f"[{a},{b},{c}]",
        f"x={a}, y={b}", f"z={a}, y={b}, x={c}"]
    wrong += [rf"\begin{{pmatrix}}{a}&{b}&{c}\end{{pmatrix}}", f"({a}, {b}, {c}), (0, 0, 0)", f"{a}{b}{c}",
        f"2({a}, {b}, {c})"]
    return right[:1], right, wrong


def matrix(rng):
    cells = rng.sample(range(-20, 20), 4)
    a, b, c, d = cells
    made = r"\begin{{{0}}}{1}&{2}\\{3}&{4}\end{{{0}}}".format
    right = [made(kind, *cells) for kind in ("pmatrix", "bmatrix", "matrix")] + [f"A = {made('pmatrix', *cells)}"]
    right += [made("bmatrix", *cells).replace("&", " & ").replace(r"\\", r" \\[4pt] "),
        rf"\left[{made('array', *cells)}\right]"]
    right += [rf"\frac12 {made('pmatrix', *(2 * cell for cell in cells))}"]
    wrong = [made("pmatrix", a, c, b, d), made("pmatrix", b, a, d, c), made("pmatrix", c, d, a, b),
        made("vmatrix", *cells)]
    wrong += [made("pmatrix", a, b, c, d + 1), f"({a}, {b}, {c}, {d})", f"-{right[0]}", f"2{right[0]}",
        f"{right[0]}^T", f"{right[0]}^{{-1}}"]
    wrong += [rf"\begin{{pmatrix}}{a}&{b}&{c}&{d}\end{{pmatrix}}",
        rf"\begin{{pmatrix}}{a}\\{b}\\{c}\\{d}\end{{pmatrix}}", rf"\det {right[0]}"]
    return right[:2], right, wrong


UNITS = [("m", "cm", 100), ("kg", "g", 1000), ("km", "m", 1000), ("hours", "minutes", 60), ("litres", "mL", 1000)]
ALIENS = ["s", "N", "dollars", "apples", "Hz", "K", "degrees", "radians", "\\%"]


def quantity(rng):
    n, (unit, small, ratio) = rng.randint(2, 400), rng.choice(UNITS)
    gold = rf"{n} \text{{ {unit}}}"
    right = [gold, rf"{n}\,\mathrm{{{unit}}}", f"{n} {unit}", rf"{n * ratio} \text{{ {small}}}",
        rf"{n}.0\ \text{{{unit}}}", rf"x = {gold}"]
    wrong = [rf"{n} \text{{ {small}}}", rf"{n * ratio} \text{{ {unit}}}", rf"{n + 1} \text{{ {unit}}}",
        rf"{n} \text{{ {unit}}}^2", rf"-{gold}"]
    wrong += [rf"{n} \text{{ {alien}}}" for alien in ALIENS] + [
        rf"{n} \text{{ {unit} per second}}",
        rf"{n}/\text{{{unit}}}",
        f"{n * ratio}",
    ]
    wrong += [rf"{n}0 \text{{ {small}}}", rf"{n * ratio + 1} \text{{ {small}}}", rf"\text{{about }} {gold}",
        rf"{gold} \text{{ or more}}"]
    return [gold], right, wrong


def money(rng):
    cents = rng.randint(101, 99_999)
    cents += cents % 10 == 0
    amount = f"{cents / 100:.2f}"
    right = [rf"\${amount}", amount, rf"{amount} \text{{ dollars}}", f"USD {amount}", f"${amount}",
        rf"{cents} \text{{ cents}}", rf"\text{{Cost}} = \${amount}"]
    wrong = [rf"\${cents}", rf"{amount} \text{{ cents}}", rf"{amount} \text{{ euros}}", f"€{amount}",
        rf"\${cents / 10:.1f}", rf"\${cents / 100 + 1:.2f}"]
    wrong += [rf"-\${amount}", rf"\${amount} \text{{ million}}", rf"\${amount[:-1]}", rf"{amount}\%", f"£{amount}",
        rf"\${amount[:-3]}", rf"\${amount}5"]
    return [rf"\${amount}"], right, wrong


def complex_number(rng):
    a, b = rng.sample(range(2, 30), 2)
    right = [
        f"{a}+{b}i",
        f"{b}i+{a}",
        f"z = {a} + {b}i",
        rf"{a}+{b}\mathrm{{i}}",
        rf"{a}+i\cdot {b}",
        f"{a} - (-{b}i)",
    ][:5]
    wrong = [f"{a}-{b}i", f"{b}+{a}i", f"{a}+{b}", f"{a}i+{b}", f"({a},{b})", f"-{a}+{b}i", f"{a}+{b}i^2",
        f"{a}+{b}j^2", rf"{a}\pm {b}i", f"{a}{b}i"]
    wrong += [rf"\overline{{{a}+{b}i}}", f"|{a}+{b}i|", f"{a}+{b}x", f"{a * a + b * b}", f"{a}+{b + 1}i",
        rf"\sqrt{{{a * a + b * b}}}"]
    return right[:1], right, wrong


def complex_product(rng):
    real = imaginary = 0
    while real in (0, imaginary):  # 60+60i is itself with its parts swapped, and 0+60i is not worked out either
        a, b, c, d = rng.sample(range(2, 12), 4)
        real, imaginary = a * c - b * d, a * d + b * c
    gold = f"{real}+{imaginary}i"
    right = [gold, f"{imaginary}i + ({real})", f"w = {gold}"]
    wrong = [f"({a}+{b}i)({c}+{d}i)", f"({a}+{b}i){c} + ({a}+{b}i){d}i", f"{real}-{imaginary}i", f"{imaginary}+{real}i"]
    wrong += [f"\\frac{{{gold}}}{{1}}", f"i({imaginary} - ({real})i)", f"{gold} + 0", f"{real}+{imaginary - 1}i + i"]
    return [gold], right, wrong


def surd_product(rng):
    a, b, c = rng.randint(2, 9), rng.randint(2, 9), rng.choice([2, 3, 5, 7])
    gold = rf"{a * b + c}+{a + b}\sqrt{{{c}}}"
    right = [gold, rf"{a + b}\sqrt{c}+{a * b + c}", rf"x = {gold}"]
    wrong = [rf"({a}+\sqrt{{{c}}})({b}+\sqrt{{{c}}})", rf"{a}({b}+\sqrt{{{c}}})+\sqrt{{{c}}}({b}+\sqrt{{{c}}})"]
    wrong += [rf"{a * b + c}-{a + b}\sqrt{{{c}}}", rf"{a * b + c}+{a + b + 1}\sqrt{{{c}}}",
        rf"{a * b + c + a + b}\sqrt{{{c}}}"]
    return [gold], right, wrong


def vector(rng):
    a, b, c = rng.sample(range(2, 30), 3)
    right = [rf"\langle {a}, -{b}, {c}\rangle", rf"{a}\mathbf{{i}} - {b}\mathbf{{j}} + {c}\mathbf{{k}}",
        rf"\begin{{pmatrix}}{a}\\-{b}\\{c}\end{{pmatrix}}"]
    right += [rf"{a}\hat{{i}} - {b}\hat{{j}} + {c}\hat{{k}}",
        rf"{a}\,\hat{{\mathbf i}} - {b}\,\hat{{\mathbf j}} + {c}\,\hat{{\mathbf k}}"]
    wrong = [rf"\langle {b}, -{a}, {c}\rangle", rf"{a}\mathbf{{i}} + {b}\mathbf{{j}} + {c}\mathbf{{k}}",
        rf"\langle {a}, {b}, {c}\rangle", rf"\langle {a}, -{b}\rangle"]
    wrong += [rf"{a}\mathbf{{j}} - {b}\mathbf{{i}} + {c}\mathbf{{k}}",
        rf"\begin{{pmatrix}}{a}&-{b}&{c}\end{{pmatrix}}", rf"\{{{a}, -{b}, {c}\}}",
        rf"-\langle {a}, -{b}, {c}\rangle"]
    return right[:3], right, wrong


def function_value(rng):
    a, b = rng.sample(range(2, 30), 2)
    right = [f"f({a}) + f({b})", f"f({b})+f({a})"]
    wrong = [f"f({a + b})", f"f({a}) - f({b})", f"f({a})f({b})", f"g({a}) + g({b})", f"f({a})", f"{a + b}f",
        f"f({a}) + f({b + 1})", f"f({a} + {b})"]
    return right[:1], right, wrong


def told(rng):
    n, noun = rng.randint(3, 400), rng.choice(["apples", "episodes", "marbles", "people"])
    right = [rf"\text{{She has {n} {noun}}}", rf"\text{{There are }}{n}\text{{ {noun} left}}",
        rf"\text{{The total is }} {n}", rf"{n} \text{{ {noun}}}"]
    wrong = [rf"\text{{She has {n + 1} {noun}}}", rf"\text{{She has {n} or {n + 1} {noun}}}",
        rf"\text{{She does not have {n} {noun}}}", rf"\text{{half of }} {n}"]
    wrong += [rf"\text{{She has {n} hundred {noun}}}", rf"\text{{more than {n} {noun}}}",
        rf"\text{{{n} {noun} and {n} more}}", rf"\text{{Option }} {n}", rf"\text{{minus }} {n}"]
    wrong += [rf"\text{{divisible by }} {n}", rf"\text{{the square of }} {n}", rf"\text{{She might have {n} {noun}}}"]
    return [f"{n}"], right, wrong


def both_signs(rng):
    a, b = rng.choice([4, 6, 9, 10, 15]), rng.choice([2, 3, 5, 7, 11])
    right = [rf"{a}\pm\sqrt{{{b}}}", rf"{a}+\sqrt{{{b}}}, {a}-\sqrt{{{b}}}",
        rf"\{{{a}-\sqrt{{{b}}}, {a}+\sqrt{{{b}}}\}}", rf"x={a}\mp\sqrt{{{b}}}"]
    right += [rf"x = {a}-\sqrt{{{b}}} \text{{ or }} x = {a}+\sqrt{{{b}}}"]
    wrong = [rf"{a}+\sqrt{{{b}}}", rf"{a}-\sqrt{{{b}}}", rf"-{a}\pm\sqrt{{{b}}}", rf"\pm{a}+\sqrt{{{b}}}",
        rf"{a}\pm{b}", rf"{b}\pm\sqrt{{{a}}}"]
    wrong += [rf"\pm{a}\pm\sqrt{{{b}}}", rf"{a}\pm\sqrt{{-{b}}}", rf"{a}\pm 2\sqrt{{{b}}}",
        rf"({a}+\sqrt{{{b}}}, {a}-\sqrt{{{b}}})", rf"{a}\pm\sqrt{{{b}}}, 0"]
    return right[:2], right, wrong


def line(rng):
    m, c = rng.randint(2, 12), rng.randint(1, 30)
    right = [f"y = {m}x + {c}", f"y={c}+{m}x", f"{m}x - y + {c} = 0", f"y - {c} = {m}x", f"{m}x + {c} = y",
        f"{2 * m}x - 2y = -{2 * c}"]
    wrong = [f"y = {m}x - {c}", f"x = {m}y + {c}", f"y = -{m}x + {c}", f"y > {m}x + {c}",
        f"y = {c}x + {m}" if m != c else "0", f"y \\ne {m}x + {c}"]
    wrong += [f"y = {m}x", f"y = {m + 1}x + {c}", f"y^2 = ({m}x + {c})^2", f"y = {m}x + {c}, x = 0",
        f"y = {m}t + {c}", f"{m}x + y + {c} = 0", f"y \\le {m}x + {c}"]
    wrong += [f"y = {m}x + {c}z", f"y = |{m}x + {c}|", f"x + y = {m}x + {c}"]
    return right[:1], right, wrong


def bound(rng):
    a = rng.randint(-20, 20)
    right = [f"x > {a}", f"{a} < x", rf"({a}, \infty)", rf"x \in ({a}, \infty)", rf"({a}, +\infty)",
        rf"\{{x \mid x > {a}\}}", rf"]{a}, \infty["]
    wrong = [rf"x \ge {a}", f"x < {a}", f"{a} > x", rf"[{a}, \infty)", f"x > {a + 1}", f"y > {a}", f"x = {a}",
        rf"x \ne {a}", rf"(-\infty, {a})", f"{a}"]
    wrong += [rf"x > {a} \text{{ and }} x < 99", rf"x > {a} \text{{ or }} x < -50", f"x > {-a or 7}", rf"({a}, 99)",
        f"2x > {2 * a}", f"|x| > {a}", r"\mathbb{R}"]
    return right[:1], right, wrong


def based(rng):
    base = rng.choice([2, 3, 5, 8])
    digits = "1" + "".join(str(rng.randrange(base)) for _ in range(4))
    right = [f"{digits}_{base}", f"{digits}_{{{base}}}", f"({digits})_{base}", rf"\text{{{digits}}}_{{{base}}}",
        rf"{digits}_{{\text{{{['two', 'three', '', 'five', '', '', 'eight'][base - 2]}}}}}"]
    wrong = [f"{digits}_{base + 1}", f"{digits[:-1]}_{base}", f"1{digits}_{base}", f"{int(digits, base)}",
        f"{digits[::-1]}_{base}" if digits != digits[::-1] else "0", f"{digits}^{base}"]
    wrong += [f"{digits}0_{base}", rf"{digits}_{{10}}", f"-{digits}_{base}", rf"\log_{base} {digits}"]
    return right[:1], right, wrong


def hexadecimal(rng):
    digits = f"{rng.randint(1, 9)}{rng.choice('ABCDEF')}{rng.choice('0123456789ABCDEF')}"
    right = [f"{digits}_{{16}}", rf"\text{{{digits}}}_{{16}}", f"({digits})_{{16}}", rf"\mathrm{{{digits}}}_{{16}}"]
    wrong = [f"{digits[1:]}_{{16}}", f"{digits[0]}{digits[2]}{digits[1]}_{{16}}" if digits[1] != digits[2] else "0",
        f"{int(digits, 16)}", f"{digits[::-1]}_{{16}}" if digits != digits[::-1] else "0"]
    wrong += [f"{digits}_{{17}}", f"{digits}0_{{16}}", rf"{digits[0]}\cdot {digits[1:]}_{{16}}",
        f"{digits[:-1]}_{{16}}"]
    return right[:1], right, wrong


def clock(rng):
    hour, minute = rng.randint(1, 11), rng.randint(10, 59)
    right = [f"{hour}:{minute} p.m.", rf"{hour}:{minute}\text{{ PM}}", f"{hour}:{minute} pm", f"{hour + 12}:{minute}",
        rf"{hour}{{:}}{minute} \text{{ p.m.}}"]
    wrong = [f"{hour}:{minute} a.m.", f"{hour}:{minute}", f"{hour + 1}:{minute} p.m.", f"{hour}:{minute - 1} p.m.",
        f"{hour}.{minute}", f"{hour}:{minute - 10:02} p.m.", f"{minute}:{hour:02}"]
    return right[:1], right, wrong


def date(rng):
    day, month, other = rng.randint(4, 20), *rng.sample(["January", "March", "May", "July", "October"], 2)
    right = [f"{month} {day}", rf"\text{{{month} {day}}}", f"{day} {month}", rf"\text{{{month} }}{day}",
        rf"{month} {day}^{{\text{{th}}}}", f"{month[:3]} {day}"]
    wrong = [f"{other} {day}", f"{month} {day + 1}", f"{month} {day}0", f"{month}", f"{day}", f"{month} {day + 10}",
        rf"{month} {day} \text{{ or }} {day + 1}", rf"\text{{not {month} {day}}}"]
    return right[:2], right, wrong


WORDS = ["even", "Tuesday", "isosceles", "no solution", "converges", "red", "hyperbola", "increasing", "Alice", "true"]


def word(rng):
    said, other = rng.sample(WORDS, 2)
    right = [said, rf"\text{{{said}}}", rf"\textbf{{{said}}}", said.lower(), said.capitalize(), rf"\text{{{said}.}}",
        rf"\mathrm{{{said}}}" if " " not in said else said]
    wrong = [other, rf"\text{{not {said}}}", rf"\text{{{said} or {other}}}", rf"\text{{{said} and {other}}}",
        f"un{said}", said[:-1], rf"\text{{maybe {said}}}", rf"\text{{{said}?}}"]
    wrong += [rf"\text{{neither {said}}}", said[::-1], rf"\text{{{said}}}, \text{{{other}}}",
        rf"\text{{{said} is wrong}}", rf"\text{{{said}, {other}}}", said[0]]
    return [rf"\text{{{said}}}"], right, wrong


def option(rng):
    letter, other = rng.sample("ABCDE", 2)
    right = [letter, f"({letter})", rf"\text{{{letter}}}", rf"\textbf{{({letter})}}", rf"\mathrm{{{letter}}}",
        f"{letter}.", f"Option {letter}", rf"\textbf{{({letter})}} 12"]
    wrong = [other, f"({other})", f"{letter}{other}", rf"\text{{{letter} or {other}}}", rf"\text{{not {letter}}}",
        f"{letter}, {other}", rf"\textbf{{({other})}} 12", f"{letter}'", f"2{letter}", f"{letter}^2"]
    return [rf"\text{{{letter}}}", letter], right, wrong


def applied(rng):
    a, b = rng.sample(range(2, 20), 2)
    right = [f"f(x) = {a}x + {b}", f"f(x)={b}+{a}x", f"{a}x+{b}", f"y = {a}x + {b}"]
    wrong = [f"f(x) = {b}x + {a}", f"g(x) = {a}x + {b}", f"f^{{-1}}(x) = {a}x + {b}", f"f'(x) = {a}x + {b}",
        f"f({a}) = x + {b}", f"f(x) = {a}t + {b}", f"f(x) + {a}x = {b}"]
    wrong += [f"f({a}x) = {b}", f"f(x) = {a}(x + {b})", f"f(f(x)) = {a}x + {b}", f"f(x) > {a}x + {b}",
        f"f(x) = {a}x + {b} + C"]
    return right[:1], right, wrong


def logarithm(rng):
    a, b = rng.sample([2, 3, 5, 7, 11], 2)
    right = [rf"\log_{{{a}}} {b}", rf"\frac{{\ln {b}}}{{\ln {a}}}", rf"\log_{{{a}}}({b})",
        rf"\dfrac{{\log {b}}}{{\log {a}}}", rf"\frac{{1}}{{\log_{{{b}}} {a}}}"]
    wrong = [rf"\log_{{{b}}} {a}", rf"\log {b}", rf"\ln {b}", rf"\log_{{{a}}} {b + 1}", rf"\log_{{{a}}} {b}^2",
        rf"-\log_{{{a}}} {b}", rf"\ln \frac{{{b}}}{{{a}}}", rf"\frac{{\log {b}}}{{\ln {a}}}"]
    return right[:2], right, wrong


def scientific(rng):
    a, n = rng.choice(["1.5", "2.25", "6.02", "9.1"]), rng.randint(3, 12)
    plain = f"{int(Fraction(a) * 10**n)}"
    right = [rf"{a} \times 10^{{{n}}}", rf"{a}\cdot 10^{{{n}}}", f"{a}e{n}", plain, grouped(int(plain), ",")]
    wrong = [rf"{a} \times 10^{{{n + 1}}}", rf"{a} \times 10^{{-{n}}}", rf"{a} \times 10 \times {n}",
        rf"{a} + 10^{{{n}}}", a, rf"{a}1 \times 10^{{{n}}}", f"{a}e-{n}", rf"{a}^{{{n}}}", f"{plain}0",
        f"{plain[:-1]}"]
    wrong += [rf"-{a} \times 10^{{{n}}}", rf"({a} \times 10)^{{{n}}}", rf"10^{{{n}}}"]
    return right[:1] + [plain], right, wrong


def percent(rng):
    n = rng.choice([5, 15, 37, 62, 85, 140])
    right = [rf"{n}\%", f"{n}%", rf"{n} \text{{ percent}}", f"{Fraction(n, 100)}", f"{n / 100}", rf"{n}.0\%",
        rf"x = {n}\%"]
    wrong = [rf"{n / 100}\%", f"{n / 10}", f"{n / 1000}", rf"{n + 1}\%", rf"-{n}\%", rf"{n}\%\%", rf"{100 - n}\%",
        rf"{n}^\circ", f"0.{n}5", rf"{n}0\%", rf"\text{{more than }}{n}\%"]
    return right[:1], right, wrong


def place(rng):
    n = rng.choice([1, 2, 3, 4, 11, 12, 21, 22, 33, 101])
    ending = "th" if 10 < n < 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    right = [f"{n}{ending}", rf"{n}^{{\text{{{ending}}}}}", rf"{n}\text{{{ending}}}", rf"{n}^{{{ending}}}",
        rf"\text{{{n}{ending}}}"]
    wrong = [f"{n + 1}th", f"{n}{'th' if ending != 'th' else 'st'}", rf"{n}0^{{\text{{th}}}}",
        rf"{n + 20}^{{\text{{{ending}}}}}", rf"\frac{{1}}{{{n + 1}}}"]
    return right[:2], right, wrong


# fmt: on
FAMILIES = [
    integer,
    fraction,
    surd,
    angle,
    polynomial,
    interval,
    collection,
    point,
    matrix,
    quantity,
    money,
    complex_number,
    both_signs,
    line,
    bound,
    based,
    hexadecimal,
    clock,
    date,
    word,
    option,
    applied,
    logarithm,
    scientific,
    percent,
    place,
    complex_product,
    surd_product,
    vector,
    function_value,
    told,
]  # fmt: skip


def score(answer, gold, rng):
    wrap = rng.choice(WRAPS)
    text = wrap.format(*[answer] * wrap.count("{}"), *[answer] * wrap.count("{ {} }"))
    return REWARD.checked(REWARD.score(Response(text), {"answer": gold})).value


def judged(family, values, seed=0):
    """(gold, answer) pairs that were accepted though wrong and refused though right, and how many pairs there were."""
    rng, accepted, refused, pairs = random.Random(f"{family.__name__} {seed}"), [], [], 0
    for _ in range(values):
        golds, right, wrong = family(rng)
        for gold in golds:
            accepted += [(gold, answer) for answer in wrong if score(answer, gold, rng) != 0]
            refused += [(gold, answer) for answer in right if score(answer, gold, rng) != 1]
            pairs += len(right) + len(wrong)
    return accepted, refused, pairs


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_pairs_of_known_values(family):
    accepted, refused, pairs = judged(family, values=8)
    assert accepted == [] and len(refused) <= 0.02 * pairs, refused


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_many_pairs_of_known_values(family):
    accepted, refused, pairs = judged(family, values=250, seed=1)
    assert accepted == [] and len(refused) <= 0.02 * pairs, refused
