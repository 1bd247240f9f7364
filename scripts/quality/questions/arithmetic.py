"""Sums and word problems of one and two steps, with small numbers: the model has 135 million parameters."""

from collections.abc import Callable, Mapping
from random import Random

from scripts.quality.questions.made import Made
from scripts.quality.questions.words import MEN, NAMES, THINGS, WOMEN


def plus(rng: Random) -> Made:
    a, b = rng.randint(2, 9), rng.randint(2, 9)
    return Made(rng.choice(["What is {} + {}?", "Calculate {} + {}."]).format(a, b), "number", a + b)


def plus_tens(rng: Random) -> Made:
    a, b = 10 * rng.randint(1, 5), rng.randint(1, 9)
    return Made(f"What is {a} + {b}?", "number", a + b)


def minus(rng: Random) -> Made:
    a = rng.randint(4, 12)
    b = rng.randint(1, a - 1)
    return Made(f"What is {a} - {b}?", "number", a - b)


def times(rng: Random) -> Made:
    a, b = rng.randint(2, 9), rng.randint(2, 9)
    return Made(rng.choice(["What is {} times {}?", "Multiply {} by {}."]).format(a, b), "number", a * b)


def half(rng: Random) -> Made:
    a = 2 * rng.randint(2, 40)
    return Made(f"What is half of {a}?", "number", a // 2)


def buys(rng: Random) -> Made:
    name, thing, a, b = rng.choice(NAMES), rng.choice(THINGS), rng.randint(2, 9), rng.randint(2, 9)
    prompt = f"{name} has {a} {thing} and buys {b} more. How many {thing} does {name} have now?"
    return Made(prompt, "number", a + b)


def gives(rng: Random) -> Made:
    (name, other), thing = rng.sample(NAMES, 2), rng.choice(THINGS)
    a = rng.randint(4, 12)
    b = rng.randint(1, a - 1)
    prompt = f"{name} had {a} {thing} and gave {b} of them to {other}. How many {thing} does {name} have left?"
    return Made(prompt, "number", a - b)


def packs(rng: Random) -> Made:
    thing, a, b = rng.choice(THINGS), rng.randint(2, 6), rng.randint(2, 10)
    return Made(f"There are {a} boxes with {b} {thing} in each box. How many {thing} are there?", "number", a * b)


def both(rng: Random) -> Made:
    name, other = rng.choice(WOMEN), rng.choice(MEN)
    thing, a, b = rng.choice(THINGS), rng.randint(2, 9), rng.randint(2, 9)
    prompt = f"{name} has {a} {thing}. {other} has {b} {thing}. How many {thing} do they have together?"
    return Made(prompt, "number", a + b)


def three(rng: Random) -> Made:
    a, b, c = (rng.randint(1, 6) for _ in range(3))
    return Made(f"Add these numbers one after the other: {a} + {b} + {c}. What is the sum?", "number", a + b + c)


def buys_and_gives(rng: Random) -> Made:
    name, thing = rng.choice(NAMES), rng.choice(THINGS)
    a, b = rng.randint(2, 8), rng.randint(2, 6)
    c = rng.randint(1, 3)
    prompt = (
        f"{name} has {a} {thing}. {name} buys {b} more. Then {name} gives {c} away. How many {thing} does {name} "
        "have in the end?"
    )
    return Made(prompt, "number", a + b - c)


ARITHMETIC: Mapping[str, Callable[[Random], Made]] = {
    maker.__name__: maker
    for maker in (plus, plus_tens, minus, times, half, buys, gives, packs, both, three, buys_and_gives)
}
