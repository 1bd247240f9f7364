"""Short texts to embed: about 20 tokens each, no two alike."""


def texts(count: int) -> list[str]:
    return [
        f"Sentence {i} speaks about the weather in town {i % 17} and about the price of bread." for i in range(count)
    ]
