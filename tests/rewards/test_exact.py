import pytest

from lab import Response
from rewards.exact import exact_text, regex_match


def score(recipe, text, gold, **parameters):
    reward = recipe(**parameters)
    return reward.checked(reward.score(Response(text, region="<answer>"), {"answer": gold})).value


@pytest.mark.parametrize(
    ("text", "gold", "expected"),
    [
        ("<answer>Paris</answer>", "Paris", 1),
        ("<answer>  New \n York </answer>", "New York", 1),
        ("<answer>cafe\u0301</answer>", "caf\u00e9", 1),
        ("<answer>Oslo</answer>", ["Kristiania", "Oslo"], 1),
        ("<answer>Paris, France</answer>", "Paris", 0),  # no credit for a substring
        ("<answer>paris</answer>", "Paris", 0),
        ("<answer>Par\u200bis</answer>", "Paris", 0),
        ("<answer>P\u0430ris</answer>", "Paris", 0),  # Cyrillic a
        ("Paris", "Paris", 0),  # outside the region
        ("<answer>Paris</answer><answer>Rome</answer>", "Paris", 0),
        ("<answer></answer>", "Paris", 0),
        ("<answer>\x00\ud800</answer>", "Paris", 0),
        ("<answer>Paris</answer>", "  ", None),
        ("<answer>None</answer>", None, None),
        ("<answer>nan</answer>", float("nan"), None),
        ("<answer>None</answer>", ["Paris", None], 0),
        ("<answer>7</answer>", 7, 1),
    ],
)
def test_exact_text(text, gold, expected):
    assert score(exact_text, text, gold) == expected


def test_exact_text_without_case():
    assert score(exact_text, "<answer>PARIS</answer>", "Paris", ignore_case=True) == 1


@pytest.mark.parametrize(
    ("text", "gold", "expected"),
    [
        ("<answer>2024-05-01</answer>", r"\d{4}-\d{2}-\d{2}", 1),
        ("<answer>on 2024-05-01</answer>", r"\d{4}-\d{2}-\d{2}", 0),  # the whole answer, not a part
        ("<answer>2024</answer>", "(", None),
        ("<answer>2024</answer>", 2024, None),
        ("<answer>" + "1" * 1_000_000 + "</answer>", r"\d+", 0),
    ],
)
def test_regex_match(text, gold, expected):
    assert score(regex_match, text, gold) == expected
