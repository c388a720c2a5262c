"""The scripted judge is right or wrong as told, and says the same of the same pair."""

import itertools

from closeloop.domain.review import PairAnswer
from closeloop.testing.pair_judges import ScriptedJudge

ISSUES = {f"text {i}": str(i % 4) for i in range(40)}
PAIRS = list(itertools.combinations(ISSUES, 2))
TRUTH = [PairAnswer.SAME if ISSUES[a] == ISSUES[b] else PairAnswer.DIFFERENT for a, b in PAIRS]


def test_a_judge_that_is_never_wrong_knows_every_pair() -> None:
    judge = ScriptedJudge(ISSUES)
    assert judge.judge(PAIRS) == TRUTH
    assert judge.judge([("text 1", "unknown")]) == [PairAnswer.UNSURE]
    assert len(judge.asked) == len(PAIRS) + 1


def test_it_is_wrong_as_often_as_told_and_never_changes_its_mind() -> None:
    answers = ScriptedJudge(ISSUES, wrong=0.1, seed=3).judge(PAIRS)
    wrong = sum(a != t for a, t in zip(answers, TRUTH, strict=True)) / len(PAIRS)
    assert 0.06 < wrong < 0.14
    turned = [(b, a) for a, b in PAIRS]
    assert ScriptedJudge(ISSUES, wrong=0.1, seed=3).judge(turned) == answers
    assert ScriptedJudge(ISSUES, wrong=0.1, seed=4).judge(PAIRS) != answers
