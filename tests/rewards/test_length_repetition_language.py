import pytest

from lab import Response
from rewards.language import in_language
from rewards.length import soft_length
from rewards.repetition import no_repetition

TEXTS = {
    "en": "The area of the square is found by taking the product of two sides, and then we have the answer for this.",
    "de": "Die Fläche des Quadrats ist das Produkt von zwei Seiten, und damit sind wir auf dem Weg zu der Antwort.",
    "fr": "Le carré est une figure et les côtés sont égaux, donc on multiplie le côté par le côté pour la surface.",
    "es": "El área del cuadrado es el producto de los lados, pero para esta figura las medidas son iguales.",
    "ru": "Площадь квадрата равна произведению двух сторон, поэтому ответ найти легко.",
    "zh": "正方形的面积等于边长乘以边长，所以答案很容易得到。",
    "ja": "正方形の面積は辺の長さをかけたものなので、答えはすぐにわかります。",
}


def score(recipe, text="", tokens=None, finished=True, **parameters):
    reward = recipe(**parameters)
    return reward.checked(reward.score(Response(text, finished=finished, token_ids=tokens), {})).value


@pytest.mark.parametrize(
    ("count", "expected"), [(0, 0), (70, 0), (80, 0), (90, -0.5), (100, -1), (101, -1), (10_000, -1)]
)
def test_soft_length(count, expected):
    assert score(soft_length, tokens=tuple(range(count)), max_tokens=100, buffer=20) == expected


def test_soft_length_counts_tokens_not_characters():
    assert score(soft_length, "x" * 9999, tokens=(1, 2), max_tokens=100, buffer=20) == 0
    assert score(soft_length, "x" * 9999, max_tokens=100, buffer=20) is None
    assert score(soft_length, tokens=(1,), finished=False) == -1
    with pytest.raises(ValueError, match="buffer"):
        score(soft_length, tokens=(1,), max_tokens=10, buffer=20)


def test_repetition():
    assert score(no_repetition, tokens=tuple(range(500))) == 0
    assert score(no_repetition, tokens=(1, 2) * 500) < -0.95
    assert score(no_repetition, tokens=tuple(range(19))) == 0
    assert score(no_repetition, tokens=()) == 0
    assert score(no_repetition, "again " * 99) is None
    half = tuple(range(100)) * 2
    assert score(no_repetition, tokens=half, n=1) == -0.5
    assert score(no_repetition, tokens=half, n=1, free=0.5) == 0


@pytest.mark.parametrize("language", TEXTS)
def test_language(language):
    scores = {asked: score(in_language, TEXTS[language], language=asked) for asked in TEXTS}
    assert scores.pop(language) > 0.9
    assert all(value < 0.5 for asked, value in scores.items() if (asked, language) not in {("ja", "zh"), ("zh", "ja")})


def test_language_mixture_formulas_and_blanks():
    mixed = TEXTS["en"] + TEXTS["zh"] * 4
    assert 0.3 < score(in_language, mixed, language="en") < 0.7
    assert score(in_language, "```python\nprint(1)\n``` $\\alpha$ " + TEXTS["ru"], language="ru") == 1
    assert score(in_language, "42", language="de") == 1
    for odd in ("", " \n", "\x00", "\ud800", "?!" * 500_000):
        assert score(in_language, odd) == 0
    with pytest.raises(ValueError, match="use one of en"):
        score(in_language, "x", language="xx")
