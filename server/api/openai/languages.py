"""The languages that Whisper models know, by code and by English name.

Codes are ISO-639-1 where it has one, as in Whisper's vocabulary (openai/whisper, `whisper/tokenizer.py`): of the
three exceptions, Javanese is `jw` there, and Hawaiian and Cantonese have three letters.
"""

from server.errors import InvalidRequest

_TABLE = (
    "af afrikaans, am amharic, ar arabic, as assamese, az azerbaijani, ba bashkir, be belarusian, bg bulgarian, "
    "bn bengali, bo tibetan, br breton, bs bosnian, ca catalan, cs czech, cy welsh, da danish, de german, "
    "el greek, en english, es spanish, et estonian, eu basque, fa persian, fi finnish, fo faroese, fr french, "
    "gl galician, gu gujarati, ha hausa, haw hawaiian, he hebrew, hi hindi, hr croatian, ht haitian creole, "
    "hu hungarian, hy armenian, id indonesian, is icelandic, it italian, ja japanese, jw javanese, ka georgian, "
    "kk kazakh, km khmer, kn kannada, ko korean, la latin, lb luxembourgish, ln lingala, lo lao, lt lithuanian, "
    "lv latvian, mg malagasy, mi maori, mk macedonian, ml malayalam, mn mongolian, mr marathi, ms malay, "
    "mt maltese, my myanmar, ne nepali, nl dutch, nn nynorsk, no norwegian, oc occitan, pa punjabi, pl polish, "
    "ps pashto, pt portuguese, ro romanian, ru russian, sa sanskrit, sd sindhi, si sinhala, sk slovak, "
    "sl slovenian, sn shona, so somali, sq albanian, sr serbian, su sundanese, sv swedish, sw swahili, ta tamil, "
    "te telugu, tg tajik, th thai, tk turkmen, tl tagalog, tr turkish, tt tatar, uk ukrainian, ur urdu, uz uzbek, "
    "vi vietnamese, yi yiddish, yo yoruba, yue cantonese, zh chinese"
)

NAMES: dict[str, str] = {code: name for code, _, name in (entry.partition(" ") for entry in _TABLE.split(", "))}
"""English names in lower case, by code."""

# Other names and codes that people and programs use for the same.
_ALIASES = {
    "burmese": "my",
    "castilian": "es",
    "farsi": "fa",
    "fil": "tl",
    "filipino": "tl",
    "flemish": "nl",
    "haitian": "ht",
    "iw": "he",
    "jv": "jw",
    "mandarin": "zh",
    "moldavian": "ro",
    "moldovan": "ro",
    "nb": "no",
    "panjabi": "pa",
    "pushto": "ps",
    "sinhalese": "si",
    "valencian": "ca",
}

_CODES = {**{name: code for code, name in NAMES.items()}, **_ALIASES}


def code_of(language: str) -> str:
    """The code of a language given as code (`en`), tag (`en-US`, `pt_BR`) or English name. Raises InvalidRequest."""
    wanted = language.strip().lower()
    for word in (wanted, wanted.replace("_", "-").partition("-")[0]):
        if word in NAMES:
            return word
        if word in _CODES:
            return _CODES[word]
    raise InvalidRequest(
        f"Invalid value for 'language': {language[:40]!r} is no language known here. "
        "Give an ISO-639-1 code, such as 'en'.",
        param="language",
    )


def name_of(code: str) -> str:
    """The English name in lower case, as verbose_json tells it; the code itself where it is unknown."""
    return NAMES.get(code, code)
