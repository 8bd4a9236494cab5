"""Every question: its reference and the notebook's own solution are right, and no wrong answer gets full marks."""

import copy

import numpy as np
import pytest

from dsconv_lib.classroom.question import PUBLIC_SEED, same
from tests.classroom.exercise_files import EXERCISES, IDS, QUESTIONS, solutions

each_question = pytest.mark.parametrize(("name", "question"), QUESTIONS, ids=IDS)


@pytest.fixture(scope="module")
def written():
    return {name: solutions(name) for name in EXERCISES}


def test_there_is_enough_to_do():
    assert len(QUESTIONS) >= 6 * len(EXERCISES)
    assert all(len(exercise.written) >= 2 for exercise in EXERCISES.values())


@each_question
def test_reference_and_solution_keep_full_marks(written, name, question):
    solution = written[name][question.function]
    for seed in range(100):
        for case in question.draw(seed):
            expected = question.reference(**copy.deepcopy(case))
            given = copy.deepcopy(case)
            assert question.right(solution(**given), expected), case
            assert same(list(given.values()), list(case.values()), rtol=0, atol=0), "in place"
            assert question.right(expected, expected)
            assert finite(expected), case


@each_question
def test_every_known_mistake_loses_marks(name, question):
    assert len(question.mistakes) >= 5
    for mistake in question.mistakes:
        for seed in range(20):
            assert not all(right(question, mistake.wrong, case) for case in question.draw(seed)), (
                f"seed {seed} has no case that tells: {mistake.message}"
            )


@each_question
def test_a_constant_loses_marks(name, question):
    for seed in range(20):
        cases = question.draw(seed)
        for answer in [question.reference(**copy.deepcopy(case)) for case in cases]:
            constant = [right(question, lambda a=answer, **case: a, case) for case in cases]
            assert not all(constant), "one answer is right for all cases"


@each_question
def test_a_constant_earns_little(name, question):
    for seed in range(20):
        answers = [question.reference(**case) for case in question.draw(seed)]
        for constant in answers:
            right = sum(question.right(constant, each) for each in answers)
            assert question.score(right, len(answers)) <= question.points / 2, constant


@each_question
def test_yes_or_no_is_marked_as_a_whole(name, question):
    answers = [question.reference(**case) for case in question.draw(0)]
    assert question.whole == all(isinstance(each, bool) for each in answers)


@each_question
def test_marking_cases_are_not_the_public_ones(name, question):
    public = {fingerprint(case) for case in question.draw(PUBLIC_SEED)}
    drawn = [fingerprint(case) for seed in range(1, 21) for case in question.draw(seed)]
    assert sum(case in public for case in drawn) < 0.1 * len(drawn)


@each_question
def test_mistakes_tell_themselves_apart(name, question):
    messages = [mistake.message for mistake in question.mistakes]
    assert len(set(messages)) == len(messages)
    for seed in range(3):
        cases = question.draw(seed)
        outcomes = [[outcome(m.wrong, case) for case in cases] for m in question.mistakes]
        for number, (one, ours) in enumerate(zip(messages, outcomes, strict=True)):
            for other, theirs in zip(messages[:number], outcomes[:number], strict=True):
                agree = [
                    a is b is None or (a is not None and b is not None and question.right(a, b))
                    for a, b in zip(ours, theirs, strict=True)
                ]
                assert not all(agree), (one, other)


@each_question
def test_cases_are_small_vary_and_repeat(name, question):
    cases = question.draw(0)
    assert len(cases) >= 4
    assert str(cases) == str(question.draw(0))
    assert str(cases) != str(question.draw(1))
    for case in cases:
        for value in case.values():
            assert np.size(np.asarray(value, dtype=object)) <= 4096


@each_question
def test_the_grader_can_send_the_cases_and_read_the_answers(name, question):
    for case in question.draw(0):
        for value in [*case.values(), question.reference(**copy.deepcopy(case))]:
            assert plain(value), value


@each_question
def test_hints_and_messages_are_sentences(name, question):
    assert question.hints
    for text in [*question.hints, *(mistake.message for mistake in question.mistakes)]:
        assert text[-1] in ".?", text
        assert "!" not in text.replace("!=", ""), text


def right(question, function, case):
    answer = outcome(function, case)
    expected = question.reference(**copy.deepcopy(case))
    return (answer is not None or expected is None) and question.right(answer, expected)


def outcome(function, case):
    """What the function returns, or None where it fails."""
    try:
        with np.errstate(all="ignore"):
            return function(**copy.deepcopy(case))
    except Exception:
        return None


def fingerprint(value):
    """Something to look up that is equal only for equal values: arrays by kind, shape and bytes."""
    if isinstance(value, dict):
        return tuple((name, fingerprint(each)) for name, each in value.items())
    if isinstance(value, (tuple, list)):
        return tuple(map(fingerprint, value))
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    return value


def plain(value):
    """True for arrays of numbers, numbers, text, None, and tuples and lists of such."""
    if isinstance(value, (tuple, list)):
        return all(map(plain, value))
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf"
    return type(value) in (int, float, bool, str, type(None))


def finite(value):
    if isinstance(value, (tuple, list)):
        return all(map(finite, value))
    return value is None or isinstance(value, str) or bool(np.isfinite(value).all())
