"""The word error rate: how many words of a text were heard wrong, once both sides are in one spelling."""

from collections.abc import Sequence

from server.english.word_errors.spelling import in_one_spelling


def word_error_rate(said: str, heard: str) -> float:
    """Words put in, left out or changed on the way from `said` to `heard`, for each word said; 0 for none.

    Where nothing was said, 1 if anything was heard.
    """
    wanted, got = in_one_spelling(said), in_one_spelling(heard)
    if not wanted:
        return float(bool(got))
    return distance(wanted, got) / len(wanted)


def distance(a: Sequence[str], b: Sequence[str]) -> int:
    """Levenshtein's distance in words.

    Bit-parallel (Myers 1999, in the form of Hyyrö 2003), so that a long text does not hold up the event loop: a column
    of the matrix is two integers.
    """
    if not a:
        return len(b)
    places: dict[str, int] = {}
    for i, word in enumerate(a):
        places[word] = places.get(word, 0) | 1 << i
    mask, last = (1 << len(a)) - 1, 1 << (len(a) - 1)
    up, down, found = mask, 0, len(a)
    for word in b:
        equal = places.get(word, 0)
        vertical = equal | down
        across = (((equal & up) + up) ^ up) | equal
        more = down | (~(across | up) & mask)
        less = up & across
        found += bool(more & last) - bool(less & last)
        more = (more << 1 | 1) & mask
        less = less << 1 & mask
        up = less | (~(vertical | more) & mask)
        down = more & vertical
    return found
