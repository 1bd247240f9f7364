"""Short texts to embed: about 20 tokens each, no two alike."""


def texts(count: int) -> list[str]:
    sentence = "Sentence {} speaks about the weather in town {} and about the price of bread."
    return [sentence.format(number, number % 17) for number in range(count)]
