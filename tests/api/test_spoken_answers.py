"""What spoken answers said is kept for an hour, for its own account, and within bounds."""

from server.api.spoken_answers import LIFE, SpokenAnswers


class Clock:
    now = 1_000.5

    def __call__(self) -> float:
        return self.now


def test_an_answer_is_its_accounts_own_and_lives_an_hour() -> None:
    clock = Clock()
    kept = SpokenAnswers(clock)
    assert kept.expiry() == 1_000 + LIFE
    kept.keep("a", "audio_1", "Tokyo.", kept.expiry())
    assert kept.text("a", "audio_1") == "Tokyo."
    assert kept.text("b", "audio_1") is None
    assert kept.text("a", "audio_2") is None
    clock.now += LIFE
    assert kept.text("a", "audio_1") is None


def test_the_oldest_go_first() -> None:
    clock = Clock()
    kept = SpokenAnswers(clock, most=10)
    for number in range(4):
        kept.keep("a", f"audio_{number}", "four", kept.expiry())
    assert [kept.text("a", f"audio_{number}") for number in range(4)] == [None, None, "four", "four"]
    kept.keep("a", "audio_long", "more than ten", kept.expiry())
    assert kept.text("a", "audio_3") is None
    assert kept.text("a", "audio_long") is None


def test_what_is_too_old_leaves_room() -> None:
    clock = Clock()
    kept = SpokenAnswers(clock, most=10)
    kept.keep("a", "audio_old", "four", kept.expiry())
    clock.now += LIFE
    kept.keep("a", "audio_new", "ten letter", kept.expiry())
    assert kept.text("a", "audio_new") == "ten letter"
