"""The abbreviations of English and what they stand for, in one table: text is read aloud with them, and texts are
compared by them. The groups are those of the rules in `read_aloud/`, which say where each may be written out.
"""

from server.english.number_words import NUMBER

TITLES = {
    "Lt": "Lieutenant", "Sgt": "Sergeant", "Capt": "Captain", "Cpl": "Corporal", "Cmdr": "Commander",
    "Prof": "Professor", "Mt": "Mount", "Ft": "Fort",
    # "Miss" is another title.
    "Ms": "Miz",
}  # fmt: skip
POINTED_TITLES = {
    "Col": "Colonel", "Maj": "Major", "Gen": "General", "Adm": "Admiral", "Pvt": "Private", "Gov": "Governor",
    "Sen": "Senator", "Rep": "Representative", "Rev": "Reverend", "Hon": "Honorable", "Pres": "President",
    "Supt": "Superintendent", "Messrs": "Messers",
}  # fmt: skip
"""Titles only with a point: without one they are words or names."""

WAYS = {
    "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Ln": "Lane", "Ct": "Court", "Pl": "Place", "Sq": "Square",
    "Ter": "Terrace", "Pkwy": "Parkway", "Hwy": "Highway", "Fwy": "Freeway", "Mts": "Mountains",
}  # fmt: skip
FOLLOWERS = {
    "Jr": "Junior", "Sr": "Senior", "Inc": "Incorporated", "Corp": "Corporation", "Ltd": "Limited", "Co": "Company",
    "Bros": "Brothers", "Assn": "Association", "Univ": "University",
}  # fmt: skip
"""What follows the name of a person or a company."""

PLAIN = {
    "dept": "department", "depts": "departments", "govt": "government", "approx": "approximately",
    "misc": "miscellaneous", "incl": "including", "avg": "average", "vs": "versus", "cf": "compare", "viz": "namely",
    "i.e": "that is", "e.g": "for example", "et al": "et al",
}  # fmt: skip
BEFORE_NUMBERS = {
    "no": NUMBER, "nos": f"{NUMBER}s", "p": "page", "pp": "pages", "vol": "volume", "vols": "volumes", "fig": "figure",
    "figs": "figures", "ch": "chapter", "sec": "section", "apt": "apartment", "bldg": "building", "rm": "room",
    "ste": "suite", "ext": "extension", "op": "opus", "rte": "route", "ca": "circa", "est": "established",
}  # fmt: skip
"""Abbreviations only before a number, and compared as they are written: "no" and "fig" are words elsewhere."""

DAYS = {
    "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Weds": "Wednesday", "Thu": "Thursday",
    "Thur": "Thursday", "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday",
}  # fmt: skip
MONTHS = {
    "Jan": "January", "Feb": "February", "Mar": "March", "Apr": "April", "Jun": "June", "Jul": "July", "Aug": "August",
    "Sept": "September", "Sep": "September", "Oct": "October", "Nov": "November", "Dec": "December",
}  # fmt: skip

_AS_WRITTEN = (
    "Cpl Cmdr Ms Col Maj Adm Pvt Hon Pres Supt Messrs Ln Ct Pl Sq Ter Pkwy Hwy Fwy Mts Bros Assn Univ depts govt misc"
    " incl avg cf viz i.e e.g et al Mar Apr Jun Jul Sep Tue Weds Thu Thur Sat Sun"
)
"""Compared as they are written: second spellings ("thur" beside "thurs"), words ("sun"), and what is seldom heard."""

COMPARED = {
    **{
        long.lower(): short.lower()
        for group in (TITLES, POINTED_TITLES, WAYS, FOLLOWERS, PLAIN, DAYS, MONTHS)
        for short, long in group.items()
        if not set(short.split()) & set(_AS_WRITTEN.split())
    },
    "doctor": "dr", "drive": "dr", "saint": "st", "street": "st", "tue": "tues", "thu": "thurs", "mister": "mr",
    "missus": "mrs", "misses": "mrs", "miss": "ms", "okay": "ok", "etcetera": "etc", "et cetera": "etc",
}  # fmt: skip
"""A word or a phrase → the abbreviation that stands for it when texts are compared.

An abbreviation stands for all that it may be short for, so that nothing has to be guessed: "st" is a saint or a street.
"""
