"""Lines that many tickets of a source hold are its template; what is remembered is bounded."""

from closeloop.text.line_templates import MAX_SHAPES, LineTemplates

KEY = bytes(32)
FORM = "Shop ID: {}\nProduct area: Payments\nSent via the help form\nmy own words number {}"


def _form(number: int) -> str:
    return FORM.format(number, "abcdefghij"[number % 10] * (number + 1))


def test_what_three_texts_share_is_a_template() -> None:
    templates = LineTemplates(KEY)
    templates.learn(_form(i) for i in range(2))
    assert templates.template_of(_form(7)) == frozenset()
    templates.learn([_form(2)])
    shared = {"shop id:", "product area:", "sent via the help form"}
    assert templates.template_of(_form(7)) == shared


def test_what_few_of_many_share_is_none() -> None:
    templates = LineTemplates(KEY)
    templates.learn(f"words of {'x' * i} alone" for i in range(1, 400))
    templates.learn(["the reader is broken again"] * 5)
    assert templates.template_of("the reader is broken again") == frozenset()


def test_learning_at_once_or_in_parts_is_the_same_and_survives_storage() -> None:
    once, parts = LineTemplates(KEY), LineTemplates(KEY)
    texts = [_form(i) for i in range(30)]
    once.learn(texts)
    for text in texts:
        parts = LineTemplates.from_bytes(parts.to_bytes(), key=KEY)
        parts.learn([text])
    assert parts.to_bytes() == once.to_bytes()


def test_what_is_kept_is_bounded_and_a_form_survives_it() -> None:
    templates = LineTemplates(KEY)
    for i in range(2 * MAX_SHAPES):
        templates.learn([f"{_form(1)}\n{i:b} of {'y' * (i % 97)}x{'z' * (i % 89)}"])
        assert len(templates.counts) <= MAX_SHAPES
    assert "shop id:" in templates.template_of(_form(3))


def test_no_word_of_a_text_is_stored_and_erased_texts_are_taken_out() -> None:
    templates = LineTemplates(KEY)
    templates.learn([_form(1), _form(2)])
    assert b"Shop" not in templates.to_bytes()
    assert b"shop" not in templates.to_bytes()
    templates.unlearn([_form(1), _form(2)])
    assert templates.to_bytes() == LineTemplates(KEY).to_bytes()


def test_another_workspace_has_other_hashes() -> None:
    one, other = LineTemplates(KEY), LineTemplates(b"x" * 32)
    one.learn([_form(1)])
    other.learn([_form(1)])
    assert not set(one.counts) & set(other.counts)
