"""English text as a careful person reads it aloud: the way of a text through the rules.

espeak-ng spells many abbreviations as letters, ends a sentence at their points, and reads years, money and telephone
numbers as plain numbers. Each kind has a file of its own beside this one: money and measures, figures, names,
shorthand and initials; their words are in `number_words.py` and `abbreviations.py`. Pure functions, linear, and in
practice idempotent. A wrong reading is worse than one left to espeak-ng, so what is ambiguous stays as it is.

Packages for this were tried and not taken: the small ones write "5 inch" and turn "I sat." into Saturday, the others
need 0.1 s and more for a sentence, which is time to the first sound, or bring a compiler of grammars.
"""

import re

from server.english.read_aloud.initials import spoken_initials
from server.english.read_aloud.money_and_measures import spoken_money_and_measures
from server.english.read_aloud.names import spoken_names
from server.english.read_aloud.shorthand import spoken_shorthand
from server.english.read_aloud.times_years_and_phones import spoken_figures

_PASSES = 5
"""At most: what one pass writes out may show what stands beside it. Most texts are done after one."""

# Markup, code, formulas; then whole tokens, of which addresses stay as they are.
_FOREIGN = re.compile(r"</?[A-Za-z!][^<>]{0,200}>|`[^`\n]{1,200}`|\$[^\s$]{1,40}\$(?!\d)|(?<![^\s<>`])[^\s<`]+|\ue000")


def spoken_english(text: str) -> str:
    """`text` with abbreviations, figures and measures as a careful person would read them aloud."""
    foreign: list[str] = []

    def hide(match: re.Match[str]) -> str:
        token = match[0]
        if token[0] in "<`\ue000" or token[-1] == "$" or "://" in token or "@" in token:
            foreign.append(token)
            return "\ue000"
        return token

    text = _FOREIGN.sub(hide, text)
    for _ in range(_PASSES):
        before, text = text, _once(text)
        if text == before:
            break
    shown = iter(foreign)
    return re.sub("\ue000", lambda _: next(shown), text)


def _once(text: str) -> str:
    for spoken in (spoken_money_and_measures, spoken_figures, spoken_names, spoken_shorthand, spoken_initials):
        text = spoken(text)
    return text
