"""Letters that stand for words in English text, as a person reads them aloud: initials, "Ph.D.", "the YMCA".

Pure and linear. espeak-ng reads letters with points between them as letters; it ends a sentence at a point
after the last of them.
"""

import re

from server.english.read_aloud.neighbours import GAP, is_name, opens_sentence, point, word_after, word_before, words

_INITIALS = re.compile(rf"(?<![\w.'’])((?:[A-Z]\.[^\S\n]?){{2,5}})(?<=\.)(?={GAP}[A-Z][a-z])")
# Those of no person end sentences, but before what they are known to stand beside.
_NO_PERSONS = words("AI BBC CEO CIA DC EU FBI HR IBM IRS IT LA NSA NY NYC PC PR TV UK UN US USA USSR")
_BESIDE = words(
    """Air Ambassador Army Attorney Census Coast Congress Constitution Department Embassy Government House Marine
    Marines Navy Open Parliament President Prime Representative Secretary Security Senate Senator Steel Supreme
    Treasury"""
)
_INITIAL = re.compile(r"(?<![\w.'’\n])([B-HJ-UWYZ])\.(?=[^\S\n]{1,3}[A-Z][a-z])")
_LETTERED = words(
    """Answer Appendix Apartment Block Box Building Bus Candidate Case Category Chapter Choice Class Client Column
    Company Division Exhibit Figure Form Gate Grade Group Hepatitis Item Level Line Model Object Option Part Party
    Patient Person Phase Plan Platform Player Point Product Question Room Route Row Schedule Section Side Step
    Student Suite Table Team Terminal Track Type Unit Variant Version Vitamin Zone"""
)
_DOCTORATE = re.compile(r"\bPh\.[^\S\n]?D\b(\.(?!\.))?")
_READ_AS_WORDS = words("ACLU ATF EPA ESL ETA LAX LED NCAA NYU USC WHO YMCA YWCA")
"""What espeak-ng reads so, and no person does."""
_SPELLED = re.compile(rf"(?<![\w.@/'’-])({'|'.join(sorted(_READ_AS_WORDS - {'WHO'}))}|(?<=\bthe )WHO)(?!\.?[\w@/-])")


def spoken_initials(text: str) -> str:
    """`text` with initials that end no sentence, and with initialisms that espeak-ng takes for words as letters."""
    text = _DOCTORATE.sub(_doctorate, text)
    text = _INITIAL.sub(_initial, _INITIALS.sub(_initials, text))
    return _SPELLED.sub(_spelled, text)


def _initials(match: re.Match[str]) -> str:
    letters = "".join(letter for letter in match[1] if letter.isalpha())
    after = word_after(match.string, match.end())
    named = match[1].replace(".", "") in _NO_PERSONS
    if opens_sentence(after) or letters in _READ_AS_WORDS or (named and after not in _BESIDE):
        return match[0]
    # espeak-ng reads letters with points between them as letters, and ends no sentence there.
    return ".".join(letters)


def _initial(match: re.Match[str]) -> str:
    before = word_before(match.string, match.start(), marks=".")
    said = match.string[max(0, match.start() - 200) : match.start()].rpartition("\n\n")[2]
    if re.search(rf"\b{chr(ord(match[1]) - 1)}\.", said):
        return match[0]  # a list
    given = is_name(before) and before not in _LETTERED
    if opens_sentence(word_after(match.string, match.end())) or not (given or before in ("by", "and", "with", "for")):
        return match[0]
    return match[1]


def _doctorate(match: re.Match[str]) -> str:
    return "PhD" + (point(match.string, match.end()) if match[1] else "")


def _spelled(match: re.Match[str]) -> str:
    around = (word_before(match.string, match.start()), word_after(match.string, match.end()))
    if any(
        len(word) > 1 and word.isalpha() and word.isupper() and word not in _READ_AS_WORDS | _NO_PERSONS
        for word in around
    ):
        return match[0]  # a shouted sentence
    return ".".join(match[1])
