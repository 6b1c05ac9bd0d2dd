"""Charts: curves over training steps and confidence intervals, as inline SVG that needs no script."""

from collections.abc import Mapping, Sequence
from math import ceil, floor, isfinite, log10

from lab.evidence.markup import Markup, element

Points = Sequence[tuple[float, float]]  # (step, value)

WIDTH, HEIGHT = 380, 190
LEFT, RIGHT, TOP, BOTTOM = 44, 14, 10, 34
MOST_POINTS = 400  # more than that cannot be told apart at this width


def curve(series: Mapping[str, Points], title: str, unit: str, percent: bool = False) -> Markup:
    """A figure with one line a series over steps: thin as measured, bold as a running mean, with labelled axes."""
    series = {name: finite(points) for name, points in series.items()}
    series = {name: points for name, points in series.items() if points}
    if not series:
        return Markup("")
    steps = [step for points in series.values() for step, _ in points]
    values = [value for points in series.values() for _, value in points]
    low, high = (0.0, 1.0) if percent else _padded(min(values), max(values))
    ticks = nice_ticks(low, high)
    first, last = min(steps), max(max(steps), min(steps) + 1)

    def x(step):
        return round(LEFT + (step - first) / (last - first) * (WIDTH - LEFT - RIGHT), 1)

    def y(value):
        return round(HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    drawing = [_axes(ticks, _step_ticks(first, last), x, y, percent)]
    means = {name: running_mean(points, max(1, len(points) // 12)) for name, points in series.items()}
    for index, name in enumerate(series):
        drawing.append(_line(thinned(series[name]), x, y, f"raw s{index % 6}"))
        drawing.append(_line(thinned(means[name]), x, y, f"line s{index % 6}"))
        step, value = means[name][-1]
        drawing.append(element("circle", cx=x(step), cy=y(value), r=2.6, class_=f"dot s{index % 6}"))
    ends = {name: (_number(points[0][1], percent), _number(points[-1][1], percent)) for name, points in means.items()}
    spoken = f"{title}, {unit}: " + "; ".join(f"{name} from {start} to {end}" for name, (start, end) in ends.items())
    svg = element("svg", *drawing, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=spoken)
    return element("figure", _caption(title, unit, {name: end for name, (_, end) in ends.items()}), svg)


def interval(value: float, low: float, high: float) -> Markup:
    """A share with its confidence interval on a line from 0 to 1, to stand in a table's row."""
    left, right = round(low * 100, 1), round(max(high - low, 0.004) * 100, 1)
    return element(
        "svg",
        element("rect", x=0, y=5.5, width=100, height=1, class_="track"),
        element("rect", x=left, y=3, width=right, height=6, rx=3, class_="span"),
        element("rect", x=round(min(max(value * 100 - 0.6, 0), 98.8), 1), y=0.5, width=1.2, height=11, class_="mark"),
        viewBox="0 0 100 12",
        preserveAspectRatio="none",
        class_="interval",
        role="img",
        aria_label=f"{value:.1%}, 95 % confidence interval {low:.1%} to {high:.1%}",
    )


def running_mean(points: Points, window: int) -> list[tuple[float, float]]:
    """Each value's mean with the ones before it, over at most `window` points."""
    values = [value for _, value in points]
    return [
        (step, sum(values[max(0, i + 1 - window) : i + 1]) / min(window, i + 1)) for i, (step, _) in enumerate(points)
    ]


def thinned(points: Points) -> Points:
    """At most MOST_POINTS points; each stands for the mean of its neighbours."""
    size = ceil(len(points) / MOST_POINTS)
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def nice_ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers (1, 2 or 5 × 10ⁿ apart) from at or above `low` to at or below `high`."""
    rough = (high - low) / about
    power = 10 ** floor(log10(rough))
    step = min((1, 2, 5, 10), key=lambda factor: abs(factor * power - rough)) * power
    return [round(i * step, 12) for i in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def finite(points: Points) -> list[tuple[float, float]]:
    """The points that can be drawn."""
    return [(step, value) for step, value in points if isinstance(value, (int, float)) and isfinite(value)]


def _padded(low: float, high: float) -> tuple[float, float]:
    if low == high:
        return (low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1))
    margin = (high - low) * 0.06
    return (0.0 if 0 <= low < (high - low) / 2 else low - margin, high + margin)


def _step_ticks(first: float, last: float) -> list[float]:
    return [tick for tick in nice_ticks(first, last, 5) if tick == int(tick)]


def _axes(y_ticks, x_ticks, x, y, percent) -> Markup:
    right, floor_y = WIDTH - RIGHT, HEIGHT - BOTTOM
    rules = [element("line", x1=LEFT, x2=right, y1=y(tick), y2=y(tick), class_="rule") for tick in y_ticks]
    numbers = [element("text", _number(tick, percent), x=LEFT - 7, y=y(tick) + 3.5, class_="y") for tick in y_ticks]
    steps = [element("text", f"{tick:g}", x=x(tick), y=floor_y + 15, class_="x") for tick in x_ticks]
    base = element("line", x1=LEFT, x2=right, y1=floor_y, y2=floor_y, class_="axis")
    name = element("text", "step", x=right, y=HEIGHT - 3, class_="name")
    return element("g", *rules, *numbers, *steps, base, name)


def _line(points: Points, x, y, style: str) -> Markup:
    if len(points) == 1:
        points = [*points, *points]
    return element("polyline", points=" ".join(f"{x(step)},{y(value)}" for step, value in points), class_=style)


def _caption(title: str, unit: str, ends: Mapping[str, str]) -> Markup:
    if len(ends) == 1:
        shown = element("span", *ends.values(), class_="last")
    else:
        keys = [
            element("span", element("i", class_=f"s{i % 6}"), f"{name} {end}")
            for i, (name, end) in enumerate(ends.items())
        ]
        shown = element("span", keys, class_="keys")
    return element("figcaption", element("b", title), element("small", unit), shown)


def _number(value: float, percent: bool) -> str:
    return f"{value * 100:.0f} %" if percent else f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e")
