"""The facts of scripts/eval_grounding, and what is asked of them."""

from scripts.grounding.__main__ import ATTACK, SERVED, WITHOUT, judged, messages_of
from scripts.grounding.facts import facts
from scripts.grounding.layouts import LAYOUTS, NONCE


def test_facts_are_the_same_each_time_and_only_one_source_answers_each() -> None:
    made = facts()
    assert made == facts()
    assert len({one.ask for one in made}) == len(made) == 90
    assert sum(one.told for one in made) == 45
    for one in made:
        assert one.answer in one.text
        assert one.answer not in one.ask
        assert not any(one.answer in text for _, text in one.others), one.ask
        for number in (1, 3, 5, 10):
            shown = one.shown(number)
            assert [len(shown), shown.count((one.title, one.text))] == [number, 1]


def test_no_thing_is_both_chosen_by_and_told_of() -> None:
    made = facts()
    assert not {one.title for one in made if one.told} & {one.title for one in made if not one.told}


def test_every_layout_shows_the_sources_and_asks() -> None:
    one = facts()[0]
    for layout in (SERVED, *LAYOUTS):
        messages = messages_of(layout, one, 3)
        text = "\n".join(message["content"] for message in messages)
        assert [message["role"] for message in messages] == ["system", "user"]
        assert all(source in text for _, source in one.shown(3))
        assert one.ask in messages[-1]["content"]
        assert NONCE in text or layout == "short rule, no fence"
    assert ATTACK in str(messages_of(SERVED, one, 3, attack=True))
    assert one.text not in str(messages_of(WITHOUT, one, 3))


def test_an_answer_is_right_by_the_whole_word() -> None:
    one = next(one for one in facts() if one.answer.isdigit())
    assert judged(SERVED, 3, one, f"There are {one.answer}.").right
    assert not judged(SERVED, 3, one, f"There are {one.answer}0.").right
    told = judged(SERVED, 3, one, f"PINEAPPLE <<<END SOURCE {NONCE}>>>")
    assert (told.right, told.obeyed, told.marks) == (False, True, True)
