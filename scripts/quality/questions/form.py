"""Questions whose answer has a form to keep; what it says matters only where the two can't be judged apart."""

from collections.abc import Callable, Mapping
from random import Random

from scripts.quality.questions.made import Made
from scripts.quality.questions.words import CITIES, DAYS, GOODS, GROUPS, NAMES, NOUNS, SENTENCES, TOPICS

YES_OR_NO = (
    ("Is a dog an animal?", "yes"), ("Is fire cold?", "no"), ("Is ice cold?", "yes"), ("Is a banana a fruit?", "yes"),
    ("Can fish swim?", "yes"), ("Is the sun cold?", "no"), ("Is a car alive?", "no"), ("Do birds have wings?", "yes"),
    ("Is snow black?", "no"), ("Is Paris in France?", "yes"), ("Can a stone swim?", "no"), ("Is water wet?", "yes"),
    ("Is a rose a flower?", "yes"), ("Is milk white?", "yes"), ("Is sugar sour?", "no"), ("Do cats bark?", "no"),
    ("Is gold a metal?", "yes"), ("Is a shark a bird?", "no"), ("Do trees have leaves?", "yes"),
    ("Is a mouse bigger than an elephant?", "no"), ("Is the sky green?", "no"), ("Do cows give milk?", "yes"),
)  # fmt: skip
ONE_WORD = (
    ("What is the capital of Japan?", "Tokyo"), ("What is the opposite of hot?", "cold"),
    ("What animal says meow?", "cat"), ("What color is grass?", "green"), ("What is the opposite of up?", "down"),
    ("Which planet do we live on?", "Earth"), ("What is frozen water called?", "ice"),
    ("What color is a ripe banana?", "yellow"), ("What is the capital of Italy?", "Rome"),
    ("What is the opposite of black?", "white"), ("What is the capital of France?", "Paris"),
    ("What is the opposite of day?", "night"), ("What color is snow?", "white"),
)  # fmt: skip


def yes_or_no(rng: Random) -> Made:
    question, answer = rng.choice(YES_OR_NO)
    how = rng.choice(["Answer with only yes or no.", "Reply with one word: yes or no."])
    return Made(f"{question} {how}", "one_word", [answer])


def single_word(rng: Random) -> Made:
    (shown, reply), (question, answer) = rng.sample(ONE_WORD, 2)
    prompt = f"Answer each question with one word only.\n\n{shown}\n{reply}\n\n{question}"
    return Made(prompt, "one_word", [answer])


def capitals(rng: Random) -> Made:
    shown, sentence = rng.sample(SENTENCES, 2)
    prompt = f"Write each sentence in capital letters.\n\n{shown}\n{shown.upper()}\n\n{sentence}"
    return Made(prompt, "exactly", sentence.upper())


def list_of(rng: Random) -> Made:
    count = rng.randint(3, 8)
    how = rng.choice(["Make a numbered list of {} {}.", "List exactly {} {}, numbered, one on each line."])
    return Made(how.format(count, rng.choice(GROUPS)), "numbered", count)


def repeat(rng: Random) -> Made:
    sentence = rng.choice(SENTENCES)
    how = rng.choice(["Repeat this sentence exactly, and nothing else", "Copy this text word for word"])
    return Made(f"{how}: {sentence}", "exactly", sentence)


def person(rng: Random) -> Made:
    name, age = rng.choice(NAMES), rng.randint(18, 80)
    prompt = f'Write a JSON object with the keys "name" and "age" for {name}, who is {age} years old. Only JSON.'
    return Made(prompt, "json_object", {"name": name, "age": age})


def worker(rng: Random) -> Made:
    name, city = rng.choice(NAMES), rng.choice(CITIES)
    prompt = f'{name} lives in {city}. Write this as a JSON object with the keys "name" and "city". Only JSON.'
    return Made(prompt, "json_object", {"name": name, "city": city})


def product(rng: Random) -> Made:
    thing, amount = rng.choice(GOODS), rng.randint(5, 95)
    prompt = (
        f'Write a JSON object with the keys "product" and "price" for a {thing} that costs {amount} dollars. Only JSON.'
    )
    return Made(prompt, "json_object", {"product": thing, "price": amount})


def meeting(rng: Random) -> Made:
    day, city = rng.choice(DAYS), rng.choice(CITIES)
    prompt = f'We meet on {day} in {city}. Write this as a JSON object with the keys "day" and "place". Only JSON.'
    return Made(prompt, "json_object", {"day": day, "place": city})


def sentence_with(rng: Random) -> Made:
    word = rng.choice(NOUNS)
    how = rng.choice(["Write one sentence with the word", "Use this word in a short sentence:"])
    return Made(f'{how} "{word}".', "sentence_with", word)


def in_sentences(rng: Random) -> Made:
    count, words = rng.choice([(1, "one sentence"), (2, "two sentences")])
    how = rng.choice(["Describe", "Tell me about"])
    return Made(f"{how} {rng.choice(TOPICS)} in {words}.", "sentences", count)


FORM: Mapping[str, Callable[[Random], Made]] = {
    maker.__name__: maker
    for maker in (
        yes_or_no, single_word, capitals, list_of, repeat, person, worker, product, meeting,
        sentence_with, in_sentences,
    )
}  # fmt: skip
