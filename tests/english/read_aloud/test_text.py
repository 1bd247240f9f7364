"""English text as a person reads it aloud: what is written out, and what stays as it is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.english.read_aloud.neighbours import words
from server.english.read_aloud.text import spoken_english

SPOKEN = [
    # titles and ranks
    ("Lt. Penn and Sgt. Haines left.", "Lieutenant Penn and Sergeant Haines left."),
    ("Maj. Gen. Penn met Lt. Col. Haines.", "Major General Penn met Lieutenant Colonel Haines."),
    ("Lt. Will Penn obeyed.", "Lieutenant Will Penn obeyed."),
    ("He saw the Sgt. Then he ran.", "He saw the sergeant. Then he ran."),
    ("Ask the Capt. about it.", "Ask the captain about it."),
    ("Gov. Penn, Sen. Haines and Rev. Oaks", "Governor Penn, Senator Haines and Reverend Oaks"),
    ("Ms. Penn and Ms Haines", "Miz Penn and Miz Haines"),
    ("Robert Penn Jr. met Ann Penn, Sr. there.", "Robert Penn Junior met Ann Penn, Senior there."),
    ("She has a Ph.D. from NYU.", "She has a PhD from N.Y.U."),
    # doctors and drives, saints and streets
    ("Dr. Penn lives on Rodeo Dr. in town.", "Doctor Penn lives on Rodeo Drive in town."),
    ("On Elm Dr. is a school. It is on Elm Dr. The end.", "On Elm Drive is a school. It is on Elm Drive. The end."),
    ("Dr. and Mrs. Penn", "Doctor and Mrs. Penn"),
    ("Thanks, Dr. Penn. Is Dr. Haines in?", "Thanks, Doctor Penn. Is Doctor Haines in?"),
    ("St. Paul, and St. Luke's Hospital", "Saint Paul, and Saint Luke's Hospital"),
    ("on Oak St., then Luke St. and Elm St.", "on Oak Street, then Luke Street and Elm Street."),
    ("She left Oak St. The car stayed.", "She left Oak Street. The car stayed."),
    ('"It is on Oak St." "Where?"', '"It is on Oak Street." "Where?"'),
    ("Port St. Lucie and Mount St. Helens", "Port Saint Lucie and Mount Saint Helens"),
    ("the Wall St. Journal on 42nd St. North", "the Wall Street Journal on 42nd Street North"),
    ("St. James St. in St. Louis", "Saint James Street in Saint Louis"),
    ("5th Ave. and Penn Blvd., Oak Rd. too", "5th Avenue and Penn Boulevard, Oak Road too"),
    ("Mt. Penn and Ft. Haines", "Mount Penn and Fort Haines"),
    # companies and plain words
    ("Penn Bros. Inc. is here.", "Penn Brothers Incorporated is here."),
    ("He owns Penn Inc. She does not.", "He owns Penn Incorporated. She does not."),
    ("Tiffany & Co. opened, Penn Ltd. closed.", "Tiffany & Company opened, Penn Limited closed."),
    ("the IT dept. of approx. five", "the IT department of approximately five"),
    ("Ask the dept. They know.", "Ask the department. They know."),
    ("cats vs. dogs, Penn vs Haines", "cats versus dogs, Penn versus Haines"),
    ("pets, e.g. Rex, i.e. a dog", "pets, for example Rex, that is a dog"),
    # numbers of things
    ("Park at No. 52. Nos. 5 and 6 are full.", "Park at number 52. Numbers 5 and 6 are full."),
    ("at no. 5, on p. 7 of vol. 3", "at number 5, on page 7 of volume 3"),
    ("pp. 5-10, fig. 2, Sec. 4, ext. 12", "pages 5 to 10, figure 2, Section 4, extension 12"),
    ("#5 of 9", "number 5 of 9"),
    # months and weekdays
    ("on Sept. 5th and Oct. 6", "on September 5th and October 6"),
    ("Mon., Tues. and Sun., but not on Sat. Then rest.", "Monday, Tuesday and Sunday, but not on Saturday. Then rest."),
    ("5 Jan. and Mar. 5, in Dec. 1911", "5 January and March 5, in December 19 11"),
    # initials
    ("John F. Kennedy and J. K. Rowling", "John F Kennedy and J.K Rowling"),
    ("J.R.R. Tolkien of the U.S. Army", "J.R.R Tolkien of the U.S Army"),
    ("from LAX to the YMCA and the WHO", "from L.A.X to the Y.M.C.A and the W.H.O"),
    # years
    ("in 1847, since 1905, by 1900", "in 18 47, since 19 oh 5, by 19 hundred"),
    ("April 23rd, 1895, and May 1911", "April 23rd, 18 95, and May 19 11"),
    ("23 April 2019; Sept. 1847", "23 April 20 19; September 18 47"),
    ("In 1847 the tower fell; in 1905 Penn left.", "In 18 47 the tower fell; in 19 oh 5 Penn left."),
    ("from 1914 to 1918 (1914-1918)", "from 19 14 to 19 18 (19 14 to 19 18)"),
    ("the summer of 1999 and the 1990s", "the summer of 19 99 and the 19 nineties"),
    ("in the '90s, the 80s", "in the nineties, the eighties"),
    # telephone numbers and times
    ("Call 555-0123.", "Call 5 5 5, 0 1 2 3."),
    ("(212) 555-0199, +1 212-736-5000", "2 1 2, 5 5 5, 0 1 9 9, 1, 2 1 2, 7 3 6, 5 0 0 0"),
    ("Call 736-5000 now", "Call 7 3 6, 5 0 0 0 now"),
    ("at 4:49 p.m. or 4:05 a.m. in town", "at 4:49 PM or 4 oh 5 AM in town"),
    ("It ends at 4 p.m. She leaves.", "It ends at 4 PM. She leaves."),
    ("4:00 p.m. Monday, 12:00 PM, at 7:00", "4 PM Monday, 12 PM, at 7 o'clock"),
    # money
    ("$5.50, $1, $0.05 and $5,200.01", "5 dollars and 50 cents, 1 dollar, 5 cents and 5,200 dollars and 1 cent"),
    ("$3.2 million, $5k, £6 and €7.00", "3.2 million dollars, 5 thousand dollars, 6 pounds and 7 euros"),
    ("a $5 bill, a $3 million deal", "a 5 dollar bill, a 3 million dollar deal"),
    ("$5-$10, $5/lb.", "5 to 10 dollars, 5 dollars per pound."),
    # measures
    ("3,400 ft. high and 52 km away", "3,400 feet high and 52 kilometers away"),
    ("a 52 lb. suitcase of 52 lb.", "a 52 pound suitcase of 52 pounds."),
    ("a 10-min walk, 1 km, 1.5 km", "a 10 minute walk, 1 kilometer, 1.5 kilometers"),
    ("at 30 mph, 50 km/h, 5 mg/kg", "at 30 miles per hour, 50 kilometers per hour, 5 milligrams per kilogram"),
    ("6 ft. 2 in. tall, 5 in. long, 90 sq. ft.", "6 feet 2 inches tall, 5 inches long, 90 square feet."),
    ("It weighs 5 oz. It is light.", "It weighs 5 ounces. It is light."),
    # where a name or a sentence ends
    ("Ask Dr. Will Penn. Yesterday Dr. May called.", "Ask Doctor Will Penn. Yesterday Doctor May called."),
    ("See Dr. Long today. Call Dr. Who.", "See Doctor Long today. Call Doctor Who."),
    ("12 Elm Dr. is closed. Elm Dr. NE", "12 Elm Drive is closed. Elm Drive NE"),
    ("It is at 5 Penn Dr. NE in town", "It is at 5 Penn Drive NE in town"),
    ("12 Oak St.\nSpringfield", "12 Oak Street.\nSpringfield"),
    ("12 Oak St. Springfield, IL", "12 Oak Street. Springfield, IL"),
    ("the 1st St. Patrick's Day parade", "the 1st Saint Patrick's Day parade"),
    ("Penn Motor Co. Ltd. said", "Penn Motor Company Limited said"),
    ("Robert Penn Jr. Blvd. is closed", "Robert Penn Junior Boulevard is closed"),
    ("Gen. U. S. Grant and Rev. J. Penn", "General U.S Grant and Reverend J Penn"),
    ("the EPA, in the US EPA", "the E.P.A, in the US E.P.A"),
    ("221B Baker St. London, MLK Jr. Dr. And home", "221B Baker Street. London, MLK Junior Drive. And home"),
    ("On Friday Dr. May left Oak Dr. Dr. Penn stayed.", "On Friday Doctor May left Oak Drive. Doctor Penn stayed."),
    ("on 4th St. Washington Square is near", "on 4th Street. Washington Square is near"),
    # money and figures between dashes
    ("It cost $20 - 3 times what I paid.", "It cost 20 dollars - 3 times what I paid."),
    ("$9 — 3 more, $300 - 20 percent", "9 dollars — 3 more, 300 dollars - 20 percent"),
    ("$5 – 20 people, $20—5 of them", "5 dollars – 20 people, 20 dollars—5 of them"),
    ("My $500 went fast.", "My 500 dollars went fast."),
    ("the $3-million deal", "the 3 million dollar deal"),
    ("Write a text of 500-1000 words.", "Write a text of 500 to 1000 words."),
    ("Mobile plans with 500-1000 minutes.", "Mobile plans with 500 to 1000 minutes."),
    ("Please contact us if you need 500-1000 units.", "Please contact us if you need 500 to 1000 units."),
    ("Call Ann at 736-5000. They call 500-1000 people", "Call Ann at 7 3 6, 5 0 0 0. They call 500 to 1000 people"),
    ("Call me at 736-5000. Tel.: 736-5001", "Call me at 7 3 6, 5 0 0 0. Tel.: 7 3 6, 5 0 0 1"),
    ("Ages 5-10, Chapters 5-10", "Ages 5 to 10, Chapters 5 to 10"),
    ("from 1850 MHz to 1990 MHz, in 1920 MB", "from 1850 megahertz to 1990 megahertz, in 1920 megabytes"),
    ("It opens at 5 pm. 5 people came.", "It opens at 5 PM. 5 people came."),
    ("(1847) (1847 Trains) in 1847 Trains came", "(18 47) (18 47 Trains) in 18 47 Trains came"),
    ("at 7:00, until 12:00", "at 7 o'clock, until 12 o'clock"),
]

KEPT = [
    "He said no. Then he left.",
    "He said no. 52 people came.",
    "No. 52 people came.",
    "Come in. Sit down.",
    "Of ten, he let 5 in. Then he closed.",
    "Room 1847 and 1,847 people",
    "in 1500 cases, by 1200 votes, in 1847.5",
    "up by 1847, and 1847 more",
    "in 1066 and in 2005",
    "I sat. The sun. A mar. They wed.",
    "Ask Jan. She knows. He reads The Sun. Always.",
    "Plan B. Mary agreed. Vitamin C. Then rest.",
    "He lives in the U.S. The rest is known.",
    "St. and Dr and Ave Maria",
    "an art. A fig. A gen. It is co. and inc. alone",
    "Boeing 737-800, 24-7, 3-2, 2024-10-05",
    "pages from 736 on, John 3:16, 16:30",
    "Ring 020 7946 0958 from 8:00-17:00",
    "The MS of MT and FT, a 5g network, 5 m",
    "THE LAX RULES OF LED ZEPPELIN",
    "who is lax and led, WHO KNOWS",
    "pens, paper, etc. Then tape, etc. to her",
    "example.com/no.5 and a.co. b, user@st.org",
    "E = mc², version 1.2.3, 192.168.0.1",
    # ends of sentences
    "It closed at 9 in EST. 5 teams play.",
    "at 9 PM EST. 5 teams play.",
    "Los Angeles, CA. 5 years later",
    "SHE SAID NO. 5 PEOPLE CAME.",
    "Give me a sec. 2 minutes tops.",
    "I ate a fig. 5 minutes later",
    "That was apt. 5 people laughed.",
    "Do you agree? No. 5 percent is too low.",
    "How many? No. 7. No. 5 percent!",
    "Wall St. Stocks fell. On 42nd St. Paul left.",
    "Ask Dr. about it. Dr.Penn",
    "I moved to the U.S. Bob stayed. The A.I. Anna built",
    "A. London B. Paris C. Rome",
    "A. London\nB. Paris\nC. Rome",
    "Player B. Wins, Answer B. Paris is",
    "PCB Rev. B works. Col. A is blank",
    "Gen. X and Gen. Z agree. Thanks, Hon. Please come",
    "Build a 12 Ft. Skeleton with El Sr. Lopez",
    # figures that tell no year, hour, price or range
    "from 1250 RPM until 1180 EUR",
    "signed by 1847 Americans in 1325 US cities",
    "The text has 200 3000 and 5 gals.",
    "The clip lasts 5:00. Skip to 2:00 in the video.",
    "at 2:00 in the video, a 7:00 pace, a ratio of 10:00, Psalm 23:00, 00:05",
    "My number is 736-5000, item 12-345, $20-3, a 1-2 punch, 9-11",
    # addresses, code and markup
    "https://example.com/no.5?p=1847-1900 555-1234@x.com",
    '<break time="500ms"/> and <a href="5 km">',
    "{print $1}, s/$1/$2/g and echo $1 and `echo $1 5 km` and $5+3$",
    "x=3-5, y = 3-5",
    "",
]


@pytest.mark.parametrize(("text", "read"), SPOKEN)
def test_text_is_read_as_a_careful_person_would(text: str, read: str) -> None:
    assert spoken_english(text) == read
    assert spoken_english(read) == read


@pytest.mark.parametrize("text", KEPT)
def test_what_is_ambiguous_or_right_stays(text: str) -> None:
    assert spoken_english(text) == text


def test_an_empty_line_ends_a_sentence() -> None:
    assert spoken_english("on Oak St.\n\nPaul left") == "on Oak Street.\n\nPaul left"
    assert spoken_english("in St.\nPaul") == "in Saint\nPaul"


WORDS = st.sampled_from(
    sorted(
        words(
            """St. St Dr. Dr Mary Oak The the in on by no. No. 5 52 1847 1905 1914-1918 5-10 April Sept. Oct Mon.
            Sun. Jan. lb. ft. Ft. in. km km/h $5.50 $5 $6-$7 million 555-0123 736-5000 call 4:05
            4:00 p.m. am Jr. Inc. Bros. & Co. J. K. U.S. etc. vs. Lt. Ms. dept. LAX of and to a #5
            '90s 1990s g 5g at 7:00 http://a.b/5-10 user@x.org <b> MHz sec. B. Paul Paul's NE Ltd. $7-9 1-2"""
        )
    )
)
GAPS = st.sampled_from((" ", " ", " ", "\n", "\n\n", "  ", ", ", ". ", "; ", " (", ") ", "? "))


@given(st.lists(st.tuples(WORDS, GAPS), max_size=12))
@settings(max_examples=200)
def test_reading_twice_changes_nothing(parts: list[tuple[str, str]]) -> None:
    once = spoken_english("".join(word + gap for word, gap in parts))
    assert spoken_english(once) == once


@given(st.text(max_size=200))
def test_any_text_is_read_somehow(text: str) -> None:
    assert isinstance(spoken_english(text), str)


@pytest.mark.parametrize(
    "part",
    ["1", "1,", "1,000", "1 ", "$1", "1-", "555-", "5 ft. ", "A.", "A. ", "Oak St. ", "in 1847 to ", "(", ".", " ",
     "\n", "No. ", "Sat. and ", "a", "A", "call ", "$1,000.", "<a", "`a", "$a", "a@", "B. ", "Mr. ", "'90",
     "4:0", "4:05 p.", "\u00a0"],
)  # fmt: skip
def test_long_and_odd_texts_take_no_longer_than_their_length(part: str) -> None:
    # Nothing is timed here: what the suite's time limit stops is backtracking well beyond the square of the length.
    text = part * (30_000 // len(part))
    assert len(spoken_english(text)) >= len(text) // 4
