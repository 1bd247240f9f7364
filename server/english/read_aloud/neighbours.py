"""What stands beside a word of English text, for the rules that tell how to read it aloud.

Pure functions. Each looks at a bounded stretch of text around its place, so that rules over a long text stay linear.
"""

import re

GAP = r"(?:[^\S\n]{1,3}\n?|\n)"
"""What may stand between two words of a sentence: an empty line ends the sentence."""


def words(text: str) -> frozenset[str]:
    """The words of `text`: a table that reads as such."""
    return frozenset(text.split())


FUNCTION_WORDS = words(
    """a about above across after again ago alone along also although an and apart are as at away back because been
    before behind below beneath beside between but by can could deep did do does down during either for from
    had has have he her here high his how i if in into is it its just later long lower may might must my near
    never nor not now off on once only our out over past shall she should since so tall than that the their
    then there these they thick this those though through to today together tomorrow too toward towards under
    until up upon was we were what when where whether which while who why wide will with within without would
    yet you your"""
)
"""Words that name nothing that could be counted: before one of them a measure or a year is complete."""

_OPENERS = FUNCTION_WORDS | words(
    """all another any anyone both come dear each every everyone few go hello hi however let many maybe meanwhile
    more most no nobody nothing of one or other people perhaps please some somebody someone sometimes such
    suddenly take thank thanks thus turn visit yes"""
)
_SINGLE = words("a an another each every")
_GOES_ON = words(
    """Ltd Limited Inc Incorporated Corp Corporation Co Company Jr Junior Sr Senior Blvd Boulevard Ave Avenue Rd Road
    Hwy Highway Pkwy Parkway Street Drive N S E W NE NW SE SW"""
)

_AFTER_COMPLETE = words("each every less minus more of or per plus versus vs")

_NEXT = re.compile(GAP + r"[\"'“‘]?([^\W\d_]\w{0,30}|\d)")
_PREVIOUS = re.compile(r"(?:\A|(?<=[\s\"'“‘(-]))(\w(?:[\w'’]|\.(?=\w)){0,30})(\.?,?)" + GAP + r"\Z")
_FIRST = re.compile(
    rf"(?:\A|(?:(?<![\s.][A-Z])\.|[!?:;])[\"'”’)]?{GAP}|\n|(?<!\w)[\"'“‘(])[\"'“‘(]?\w[\w'’]{{0,30}}{GAP}\Z"
)
_OVER = re.compile(r"[\"'”’)\]]{0,3}(?:\s{0,3}\Z|[^\S\n]{0,3}\n[^\S\n]{0,3}\n)")


def word_after(text: str, end: int) -> str:
    """The word or the first digit after `end` and a gap; empty if something else is there."""
    found = _NEXT.match(text, end)
    return found[1] if found else ""


def word_before(text: str, start: int, *, marks: str = "") -> str:
    """The word before `start` and a gap; empty if anything but `marks`, of point and comma, is between them."""
    found = _PREVIOUS.search(text[max(0, start - 36) : start])
    return found[1] if found and set(found[2]) <= set(marks) else ""


def follows_first(text: str, start: int) -> bool:
    """Whether only one word of the sentence stands before `start`: its capital says nothing."""
    return _FIRST.search(text, max(0, start - 48), start) is not None


def opens_sentence(word: str) -> bool:
    """Whether a word is one that with a capital opens a sentence, rather than a name."""
    return word[:1].isupper() and word.lower() in _OPENERS


def is_name(word: str) -> bool:
    """Whether a word has a capital and is not known to open sentences."""
    return word[:1].isupper() and word.lower() not in _OPENERS


def is_over(text: str, end: int) -> bool:
    """Whether nothing more is said in this paragraph after `end`."""
    return _OVER.match(text, end) is not None


def point(text: str, end: int, *, before_names: bool = False) -> str:
    """What is left of the point before `end` when its abbreviation is written out: "." if it ends the sentence too.

    before_names: whether a name may follow within the sentence, as "Pictures" does after "Bros.".
    """
    if text[end - 1 : end] != ".":
        return ""
    after = word_after(text, end)
    ends = opens_sentence(after) if before_names else after[:1].isupper() and after not in _GOES_ON
    return "." if ends or text[end : end + 1] in ('"', "”") or is_over(text, end) else ""


def is_attribute(text: str, start: int, end: int) -> bool:
    """Whether the measure there stands before what it measures, as in "a 52 lb. suitcase", and so in the singular."""
    after = word_after(text, end)
    single = word_before(text, start).lower() in _SINGLE
    return single and after[:1].islower() and after not in FUNCTION_WORDS and after not in _AFTER_COMPLETE
