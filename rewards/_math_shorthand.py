r"""What is said in short, written out: `1, 3, \ldots, 99`, `(1, 2, 3)` and its permutations, `(1, 2, 3)^T`."""

import re
from itertools import permutations

_ELLIPSIS = re.compile(  # 1, 2, \ldots, 10
    r"(?<![\w.,/^+*-])((?:-?\d{1,6}\s*,\s*){1,6})(?:\\[lc]?dots|\.\.\.)\s*,\s*(-?\d{1,6})(?![\w./^+*!-])", re.ASCII
)
MAX_RUN = 200
_PERMUTED = re.compile(
    r"(?:\\text\s*\{\s*)?(?:all )?permutations of\s*\}?\s*(?P<of>\([^()]{1,60}\))"
    r"|(?P<tuple>\([^()]{1,60}\))[\s,;~]*(?:\\text\s*\{)?[\s,]*(?:and|with|or)\s(?:all )?(?:of )?(?:its|the|their)?\s?"
    r"(?:other )?permutations(?: thereof)?\s*\}?"
)
MAX_PERMUTED = 5
_TRANSPOSED = re.compile(
    r"(?:\((?P<row>[^(),]{1,80}(?:,[^(),]{1,80})+)\)|\\begin\{[pb]matrix\}(?P<matrix>[^\\&]{1,80}(?:&[^\\&]{1,80})+)\\end\{[pb]matrix\})\s*"
    r"\^\s*\{?\s*(?:\\(?:top|intercal)|(?:\\(?:mathsf|mathrm|text)\s*\{?\s*)?T)\s*\}?\s*\}?"
)
_LETTERS = re.compile(r"\\text\s*\{\s*((?:[A-Z],\s?)*[A-Z])(?:,?\sand\s([A-Z]))?\s*\}")  # options: \text{A, C, and D}


def written_out(text: str) -> str:
    """`text` with all of that in full; what no rule tells stays as it is."""
    text = _ELLIPSIS.sub(_run_written_out, text)
    if (options := _LETTERS.fullmatch(text)) and (options[2] or "," in options[1]):
        return f"{options[1]}, {options[2]}" if options[2] else options[1]
    if "^" in text[-30:] and (column := _TRANSPOSED.fullmatch(text)):
        cells = re.split("[,&]", column["row"] or column["matrix"])
        return "\\begin{pmatrix}" + r"\\".join(cells) + "\\end{pmatrix}"
    whole = _PERMUTED.fullmatch(text) if "permutation" in text else None
    items = (whole["of"] or whole["tuple"])[1:-1].split(",") if whole else []
    if not 1 < len(items) <= MAX_PERMUTED:
        return text
    return ", ".join(dict.fromkeys(f"({','.join(order)})" for order in permutations(item.strip() for item in items)))


def _run_written_out(match: re.Match) -> str:
    """All members of `1, 3, \\ldots, 99`, whole numbers one step apart; any other run stays as it is."""
    first = [int(number) for number in match[1].split(",") if number.strip()]
    last, step = int(match[2]), first[1] - first[0] if len(first) > 1 else 1
    if not step or not 0 < (last - first[0]) / step < MAX_RUN:
        return match[0]
    members = list(range(first[0], last + step, step))
    return ", ".join(map(str, members)) if members[: len(first)] == first and members[-1] == last else match[0]
