"""Questions about a made-up text or record that holds the answer, beside others of its kind."""

from collections.abc import Callable, Mapping, Sequence
from random import Random

from scripts.quality.questions.made import Made
from scripts.quality.questions.words import CITIES, COLOURS, DAYS, GOODS, JOBS, MONTHS, NAMES, SURNAMES


def _named(prompt: str, right: str, wrong: Sequence[str]) -> Made:
    return Made(prompt, "named", {"right": right, "wrong": list(wrong)})


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def city(rng: Random) -> Made:
    people, cities = rng.sample(NAMES, 2), rng.sample(CITIES, 2)
    text = " ".join(f"{name} lives in {place}." for name, place in zip(people, cities, strict=True))
    place = rng.randrange(2)
    return _named(f"{text}\n\nWhere does {people[place]} live?", cities[place], cities[1 - place : 2 - place])


def profession(rng: Random) -> Made:
    people, jobs = rng.sample(NAMES, 2), rng.sample(JOBS, 2)
    text = " ".join(f"{name} works as {_a(job)}." for name, job in zip(people, jobs, strict=True))
    place = rng.randrange(2)
    return _named(f"{text}\n\nWhat does {people[place]} work as?", jobs[place], jobs[1 - place : 2 - place])


def who(rng: Random) -> Made:
    people, goods = rng.sample(NAMES, 2), rng.sample(GOODS, 2)
    text = " ".join(f"{name} bought {_a(thing)}." for name, thing in zip(people, goods, strict=True))
    place = rng.randrange(2)
    return _named(f"{text}\n\nWho bought the {goods[place]}?", people[place], people[1 - place : 2 - place])


def order_number(rng: Random) -> Made:
    first, second = rng.sample(range(1000, 9999), 2)
    name, thing, amount = rng.choice(NAMES), rng.choice(GOODS), rng.randint(20, 99)
    prompt = (
        f"Customer: {name} {rng.choice(SURNAMES)}\nCustomer number: {first}\nOrder number: {second}\nItem: {thing}\n"
        f"Price: {amount} dollars\n\nWhat is the order number?"
    )
    return _named(prompt, str(second), [str(first), str(amount)])


def price(rng: Random) -> Made:
    goods, prices = rng.sample(GOODS, 3), rng.sample(range(12, 99), 3)
    lines = "\n".join(f"{thing}: {amount} dollars" for thing, amount in zip(goods, prices, strict=True))
    place = rng.randrange(3)
    wrong = [str(amount) for amount in prices[:place] + prices[place + 1 :]]
    return _named(f"{lines}\n\nHow much does the {goods[place]} cost?", str(prices[place]), wrong)


def total(rng: Random) -> Made:
    goods, prices = rng.sample(GOODS, 2), rng.sample(range(12, 60), 2)
    lines = "\n".join(f"{thing}: ${amount}" for thing, amount in zip(goods, prices, strict=True))
    prompt = f"Invoice\n{lines}\nTotal: ${sum(prices)}\n\nWhat is the total of this invoice?"
    return _named(prompt, str(sum(prices)), [])


def date(rng: Random) -> Made:
    (first, second), day, other = rng.sample(MONTHS, 2), rng.randint(2, 28), rng.randint(2, 28)
    prompt = (
        f"Flight to {rng.choice(CITIES)}\nDeparture: {first} {day}\nReturn: {second} {other}\n\n"
        "What is the date of the return?"
    )
    return _named(prompt, f"{second} {other}", [f"{first} {day}"])


def weekday(rng: Random) -> Made:
    first, second = rng.sample(DAYS, 2)
    prompt = f"The shop opens late on {first} and is closed on {second}.\n\nOn which day is the shop closed?"
    return _named(prompt, second, [first])


def colour(rng: Random) -> Made:
    goods, colours = rng.sample(GOODS, 2), rng.sample(COLOURS, 2)
    text = " and ".join(f"the {thing} is {shade}" for thing, shade in zip(goods, colours, strict=True))
    place = rng.randrange(2)
    prompt = f"In this room {text}. What color is the {goods[place]}?"
    return _named(prompt, colours[place], colours[1 - place : 2 - place])


def telephone(rng: Random) -> Made:
    phone, room = f"555-{rng.randint(1000, 9999)}", str(rng.randint(100, 400))
    name = f"{rng.choice(NAMES)} {rng.choice(SURNAMES)}"
    prompt = f"Name: {name}\nRoom: {room}\nPhone: {phone}\n\nWhat is the phone number?"
    return _named(prompt, phone, [room])


def surname(rng: Random) -> Made:
    people, surnames = rng.sample(NAMES, 2), rng.sample(SURNAMES, 2)
    full = [" ".join(pair) for pair in zip(people, surnames, strict=True)]
    place = rng.randrange(2)
    prompt = f"{full[0]} and {full[1]} came to the meeting.\n\nWhat is {people[place]}'s last name?"
    return _named(prompt, surnames[place], surnames[1 - place : 2 - place])


EXTRACTION: Mapping[str, Callable[[Random], Made]] = {
    maker.__name__: maker
    for maker in (city, profession, who, order_number, price, total, date, weekday, colour, telephone, surname)
}
