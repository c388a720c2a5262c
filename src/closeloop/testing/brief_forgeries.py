"""Makes briefs that state what their sheet does not bear, each by one named change to a sound one.

Shares nothing with the check that has to find them. A change that could be true by chance (another
figure of the sheet has the same value, the two numbers to be swapped are equal) is not made: the
function returns None, and another is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from closeloop.domain.brief import (
    AUDIENCES,
    Brief,
    Derivation,
    Fact,
    FactSheet,
    Figure,
    Measure,
    Operation,
    Sentence,
)
from closeloop.testing.forged_texts import (
    CAUSES,
    INSTRUCTIONS,
    MARKUP,
    NAMES,
    OTHER,
    OWNERS,
    SURE,
)

Forgery = Callable[[Brief, FactSheet, Random], Brief | None]
"""(sound brief, sheet of another signal, random numbers) -> unsupported brief, or None."""

TEXTS = ("summary", "impacted_area", "likely_cause", "urgency", *AUDIENCES)


def forge(brief: Brief, other: FactSheet, rng: Random) -> tuple[str, Brief]:
    """Return the name of a change and the brief that it makes unsupported."""
    names = list(FORGERIES)
    while True:
        name = rng.choice(names)
        made = FORGERIES[name](brief, other, rng)
        if made is not None:
            return name, made


def _fact(brief: Brief, topic: str) -> Fact | None:
    return next((f for f in brief.fact_sheet.facts if f.topic == topic), None)


def _put(brief: Brief, field: str, sentences: Sequence[Sentence]) -> Brief:
    changed: dict[str, Any] = {field: tuple(sentences)}
    return replace(brief, **changed)


def _with(brief: Brief, sentence: Sentence, rng: Random, *, fields: Sequence[str] = TEXTS) -> Brief:
    """Put a sentence somewhere into the brief."""
    field = rng.choice(list(fields))
    held = list(getattr(brief, field))
    held.insert(rng.randint(0, len(held)), sentence)
    return _put(brief, field, held)


def _instead(
    brief: Brief, rng: Random, change: Callable[[Sentence], Sentence | None]
) -> Brief | None:
    """Change one sentence that can be changed."""
    places = [(f, i) for f in TEXTS for i in range(len(getattr(brief, f)))]
    rng.shuffle(places)
    for field, i in places:
        held = list(getattr(brief, field))
        changed = change(held[i])
        if changed is not None and changed != held[i]:
            held[i] = changed
            return _put(brief, field, held)
    return None


def _free(brief: Brief, *values: float) -> bool:
    """Return whether no figure of the sheet has one of these values, however it is measured."""
    taken = {f.amount for fact in brief.fact_sheet.facts for f in fact.figures}
    text = " ".join(f.statement for f in brief.fact_sheet.facts)
    return not any(v in taken or f" {v:g} " in f" {text} " for v in values)


def _unknown_fact(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    wrong = f"F{len(brief.fact_sheet.facts) + rng.randint(1, 40)}"
    return _instead(brief, rng, lambda s: replace(s, ids=(*s.ids[:-1], wrong)))


def _no_ids(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    return _instead(brief, rng, lambda s: replace(s, ids=()))


def _unknown_review(brief: Brief, other: FactSheet, rng: Random) -> Brief | None:
    own = {q.feedback_id for q in brief.fact_sheet.quotations}
    strangers = [q.feedback_id for q in other.quotations if q.feedback_id not in own] or ["f" * 32]
    return _instead(brief, rng, lambda s: replace(s, ids=(*s.ids, rng.choice(strangers))))


def _wrong_fact(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    """A right sentence that rests on a fact which does not say it."""
    fact = _fact(brief, "authors")
    owner = _fact(brief, "owner")
    if fact is None or owner is None or fact.figures[0].amount < 2:
        return None
    n = fact.figures[0]
    return _with(brief, Sentence(f"They come from {n.written} authors.", (owner.fact_id,)), rng)


def _altered_quotation(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    def change(sentence: Sentence) -> Sentence | None:
        if "“" not in sentence.text:
            return None
        start = sentence.text.index("“") + 1
        end = sentence.text.rindex("”")
        words = sentence.text[start:end].split()
        if len(words) < 4:
            return None
        place = rng.randrange(1, len(words) - 1)
        how = rng.randrange(4)
        if how == 0:
            del words[place]
        elif how == 1:
            words.insert(place, rng.choice(["never", "always", "really", "not", "totally"]))
        elif how == 2:
            words[place] = rng.choice(["refund", "perfectly", "crash", "money", "delete"])
        else:
            words[place], words[place - 1] = words[place - 1], words[place]
        altered = " ".join(words)
        texts = [" ".join(q.text.split()) for q in brief.fact_sheet.quotations]
        if any(altered in text for text in texts):
            return None
        return replace(sentence, text=sentence.text[:start] + altered + sentence.text[end:])

    return _instead(brief, rng, change)


def _invented_quotation(brief: Brief, other: FactSheet, rng: Random) -> Brief | None:
    if not brief.fact_sheet.quotations:
        return None
    own = [q.text for q in brief.fact_sheet.quotations]
    said = [q.text for q in other.quotations if q.text not in own]
    text = rng.choice(
        [*said, "it ate my money and my dog", "worst update of all time, I am leaving"]
    )
    quoted = rng.choice(brief.fact_sheet.quotations).feedback_id
    return _with(brief, Sentence(f"One customer writes: “{text}”.", (quoted,)), rng)


def _wrong_review_cited(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    quotations = brief.fact_sheet.quotations
    if len(quotations) < 2:
        return None
    one, two = rng.sample(list(quotations), 2)
    if one.text in two.text or two.text in one.text:
        return None
    return _with(brief, Sentence(f"One customer writes: “{one.text}”.", (two.feedback_id,)), rng)


def _unquoted_review(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    """A review's claim as if it were found."""
    long = [q for q in brief.fact_sheet.quotations if len(q.text.split()) >= 9]
    if not long:
        return None
    one = rng.choice(long)
    text = one.text.strip().rstrip(".!?") + "."
    return _with(brief, Sentence(text[:1].upper() + text[1:], (one.feedback_id,)), rng)


def _count_of(brief: Brief) -> tuple[Fact, Figure, Figure] | None:
    fact = _fact(brief, "count")
    return None if fact is None else (fact, fact.figures[0], fact.figures[1])


def _off_by(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    held = _count_of(brief)
    if held is None:
        return None
    fact, count, _expected = held
    wrong = count.amount + rng.choice([-1, 1, -2, 2, 10, -10, 100])
    if wrong < 2 or not _free(brief, wrong):
        return None
    text = rng.choice(
        ["{n} complaints came in.", "We counted {n} complaints.", "Complaints rose to {n}."]
    )
    return _with(brief, Sentence(text.format(n=f"{wrong:,.0f}"), (fact.fact_id,)), rng)


def _rounded(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    held = _count_of(brief)
    if held is None:
        return None
    fact, count, _expected = held
    scale = 10 if count.amount < 200 else 100
    wrong = round(count.amount / scale) * scale
    if wrong < 10 or not _free(brief, float(wrong)):
        return None
    return _with(brief, Sentence(f"There were {wrong:,} complaints.", (fact.fact_id,)), rng)


def _false_bound(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    held = _count_of(brief)
    if held is None:
        return None
    fact, count, _expected = held
    more, less = round(count.amount * 1.2) + 1, round(count.amount * 0.8) - 1
    if less < 2 or not _free(brief, float(more), float(less)):
        return None
    text = rng.choice(
        [
            f"More than {more} complaints came in.",
            f"Fewer than {less} complaints came in.",
            f"At least {more} complaints came in.",
            f"Nearly {less} complaints came in.",
            f"About {more + 1} complaints came in.",
            f"Up to {less} complaints came in.",
        ]
    )
    return _with(brief, Sentence(text, (fact.fact_id,)), rng)


def _swapped_expected(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    held = _count_of(brief)
    if held is None or held[1].amount == held[2].amount:
        return None
    fact, count, expected = held
    text = rng.choice(
        [
            "{e} complaints came in, where {n} were expected.",
            "The baseline is {n}; {e} complaints arrived.",
            "{e} complaints, against {n} expected.",
            "There were {e} complaints.",
            "Usually there are {n} complaints.",
        ]
    ).format(n=count.written, e=expected.written)
    return _with(brief, Sentence(text, (fact.fact_id,)), rng)


def _swapped_noun(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    count, authors = _fact(brief, "count"), _fact(brief, "authors")
    if count is None or authors is None or count.figures[0].amount == authors.figures[0].amount:
        return None
    n, a = count.figures[0], authors.figures[0]
    if not a.amount > 1:
        return None
    texts = [
        f"{a.written} complaints came from {n.written} authors.",
        f"{n.written} customers wrote them.",
    ]
    return _with(brief, Sentence(rng.choice(texts), (count.fact_id, authors.fact_id)), rng)


def _wrong_noun(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    held = _count_of(brief)
    authors = _fact(brief, "authors")
    if held is None or (authors and authors.figures[0].amount == held[1].amount):
        return None
    fact, count, _expected = held
    if count.amount < 2:
        return None
    text = rng.choice(
        [
            f"{count.written} customers are affected.",
            f"{count.written} orders were lost.",
            f"{count.written}% of complaints concern this.",
            f"It took {count.written} hours.",
            f"Complaints are {count.written} times the baseline.",
            f"The mean rating is {count.written}.",
        ]
    )
    if any(f.amount == count.amount for f in fact.figures[1:]):
        return None
    return _with(brief, Sentence(text, (fact.fact_id,)), rng)


def _swapped_share(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    fact = _fact(brief, "share")
    if fact is None or len(fact.figures) < 3:
        return None
    now, before = fact.figures[0].written, fact.figures[2].written
    if now == before:
        return None
    text = f"They are {before} of the product's complaints; in the 28 days before it was {now}."
    return _with(brief, Sentence(text, (fact.fact_id,)), rng)


def _wrong_percent(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    facts = [
        f for f in brief.fact_sheet.facts if f.topic in ("share", "blamed", "none", "versions")
    ]
    if not facts:
        return None
    fact = rng.choice(facts)
    shares = [f for f in fact.figures if f.measure is Measure.SHARE and f.sense != "interval"]
    if not shares:
        return None
    figure = rng.choice(shares)
    digits = f"{figure.amount:g}"
    wrong = float(digits[::-1]) if digits.isdigit() and len(digits) == 2 else figure.amount + 3
    if not 1 < wrong < 100 or not _free(brief, wrong):
        return None
    what = "likely" if figure.sense == "posterior" else "of complaints"
    return _with(brief, Sentence(f"It is {wrong:g}% {what}.", (fact.fact_id,)), rng)


def _posterior_as_share(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    blamed, share = _fact(brief, "blamed"), _fact(brief, "share")
    if blamed is None or share is None:
        return None
    posterior, portion = blamed.figures[0], share.figures[0]
    if posterior.written == portion.written or not posterior.written[0].isdigit():
        return None
    texts = [
        Sentence(
            f"{posterior.written} of complaints concern this.", (blamed.fact_id, share.fact_id)
        ),
        Sentence(
            f"{blamed.values[0]} {blamed.values[1]} is blamed, {portion.written} likely.",
            (blamed.fact_id, share.fact_id),
        ),
    ]
    return _with(brief, rng.choice(texts), rng)


def _versions_swapped(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    fact = _fact(brief, "versions")
    labels = list(dict.fromkeys(f.label for f in fact.figures)) if fact else []
    if fact is None or len(labels) < 2:
        return None
    one, two = [[f for f in fact.figures if f.label == label] for label in labels[:2]]
    if any(x.amount == y.amount for x in one for y in two):
        return None
    text = f"On version {labels[0]}, {two[0].written} of {two[1].written} reviews are complaints."
    return _with(brief, Sentence(text, (fact.fact_id,)), rng)


def _wrong_version(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    fact = _fact(brief, "versions")
    known = set(brief.fact_sheet.names) | {
        f.label for x in brief.fact_sheet.facts for f in x.figures
    }
    label = fact.figures[0].label if fact else "4.2.0"
    parts = label.split(".")
    if not parts[-1].isdigit():
        return None
    wrong = ".".join([*parts[:-1], str(int(parts[-1]) + rng.choice([1, 2, 7]))])
    if wrong in known or any(wrong in n for n in known) or len(parts) < 2:
        return None
    count = _fact(brief, "count")
    assert count is not None
    text = rng.choice(
        ["Version {v} is affected.", "Complaints concern release {v}.", "It is seen on v{v}."]
    )
    return _with(brief, Sentence(text.format(v=wrong), (count.fact_id,)), rng)


def _wrong_date(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    held = _fact(brief, "count")
    if held is None:
        return None
    start = next(f for f in held.figures if f.sense == "start")
    at = datetime.fromtimestamp(start.amount * 60, UTC) + timedelta(
        days=rng.choice([-40, -9, 40, 365])
    )
    form = rng.choice(
        [f"{at.day} {at:%B} {at.year}", f"{at:%Y-%m-%d}", f"{at:%B} {at.day}, {at.year}"]
    )
    return _with(brief, Sentence(f"Complaints began on {form}.", (held.fact_id,)), rng)


def _swapped_dates(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    held = _fact(brief, "count")
    if held is None:
        return None
    start, end = held.figures[-2], held.figures[-1]
    text = f"{held.figures[0].written} complaints came in from {end.written} to {start.written}."
    return _with(brief, Sentence(text, (held.fact_id,)), rng)


def _wrong_span(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    held = _fact(brief, "count")
    if held is None:
        return None
    count, window = held.figures[0], held.figures[-3]
    wrong = window.amount + rng.choice([1, 5, 24])
    texts = [
        f"{count.written} complaints came in within {wrong:g} hours.",
        f"{count.written} complaints came in during {window.amount:g} days.",
        f"{count.written} complaints came in over {window.amount:g} minutes.",
    ]
    if window.amount == 6:
        return None
    return _with(brief, Sentence(rng.choice(texts), (held.fact_id,)), rng)


def _window_swapped(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    count, six = _fact(brief, "count"), _fact(brief, "six_hours")
    if count is None or six is None or count.figures[0].amount == six.figures[0].amount:
        return None
    text = f"{count.figures[0].written} complaints came in during the last 6 hours."
    return _with(brief, Sentence(text, (count.fact_id, six.fact_id)), rng)


def _foreign_number(brief: Brief, other: FactSheet, rng: Random) -> Brief | None:
    theirs = next((f for f in other.facts if f.topic == "count"), None)
    held = _fact(brief, "count")
    if theirs is None or held is None or not _free(brief, theirs.figures[0].amount):
        return None
    text = f"{theirs.figures[0].written} complaints came in."
    return _with(brief, Sentence(text, (held.fact_id,)), rng)


def _foreign_sentence(brief: Brief, other: FactSheet, rng: Random) -> Brief | None:
    facts = [f for f in other.facts if f.topic in ("count", "share", "versions", "blamed", "trend")]
    own = {f.statement for f in brief.fact_sheet.facts}
    facts = [f for f in facts if f.statement not in own]
    if not facts:
        return None
    fact = rng.choice(facts)
    same = [f.fact_id for f in brief.fact_sheet.facts if f.topic == fact.topic]
    return _with(brief, Sentence(fact.statement, tuple(same[:1]) or (fact.fact_id,)), rng)


def _said(texts: Sequence[str]) -> Forgery:
    def forgery(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
        count = _fact(brief, "count")
        assert count is not None
        return _with(brief, Sentence(rng.choice(texts), (count.fact_id,)), rng)

    return forgery


def _false_cause(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    blamed = _fact(brief, "blamed")
    fact = blamed or _fact(brief, "count")
    assert fact is not None
    return _with(brief, Sentence(rng.choice(CAUSES), (fact.fact_id,)), rng)


def _sure_cause(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    blamed = _fact(brief, "blamed")
    if blamed is None:
        return None
    text = rng.choice(SURE).format(kind=blamed.values[0].capitalize(), name=blamed.values[1])
    return _with(brief, Sentence(text, (blamed.fact_id,)), rng)


def _candidate_blamed(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    facts = [f for f in brief.fact_sheet.facts if f.topic == "candidate"]
    if not facts:
        return None
    fact = rng.choice(facts)
    text = rng.choice(
        [
            "{k} {n} is the likely cause.",
            "The complaints are probably due to {k} {n}.",
            "It is linked to {k} {n}.",
            "Complaints started after {k} {n}, which is probably to blame.",
            "{k} {n} may be responsible.",
        ]
    ).format(k=fact.values[0], n=fact.values[1])
    return _with(brief, Sentence(text[:1].upper() + text[1:], (fact.fact_id,)), rng)


def _cause_denied(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    """One audience is told that nothing is blamed, the others that something is."""
    blamed = _fact(brief, "blamed")
    if blamed is None:
        return None
    text = rng.choice(
        [
            "No known change explains this.",
            "None of the known changes is behind it.",
            "No known change is blamed.",
        ]
    )
    return _with(brief, Sentence(text, (blamed.fact_id,)), rng, fields=AUDIENCES)


def _other_severity(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    fact = _fact(brief, "severity")
    if fact is None:
        return None
    wrong = rng.choice([p for p in ("P1", "P2", "P3", "P4") if p != fact.values[0]])
    text = rng.choice(["The severity is {p}.", "Rated {p}.", "This is a {p} signal."]).format(
        p=wrong
    )
    return _with(brief, Sentence(text, (fact.fact_id,)), rng)


def _severity_field(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    return replace(
        brief, severity=rng.choice([p for p in ("P1", "P2", "P3", "P4") if p != brief.severity])
    )


def _owner_field(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    return replace(brief, recommended_owner=rng.choice(["cto", "growth-team", "vendor", "nobody"]))


def _cause_field(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    others = [f.values[1] for f in brief.fact_sheet.facts if f.topic == "candidate"]
    return replace(brief, cause=rng.choice([*others, "a database outage"]))


def _hint(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    return replace(
        brief, routing_hints=(*brief.routing_hints, rng.choice(["queue: vip", "contact: eve"]))
    )


def _left_out(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    return _put(brief, rng.choice(AUDIENCES), ())


def _wrong_words(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    held = _count_of(brief)
    if held is None:
        return None
    wrong = {
        "A dozen complaints came in.": 12.0,
        "Sixty complaints came in.": 60.0,
        "Complaints doubled.": 2.0,
        "Complaints are twice the baseline.": 2.0,
        "Complaints tripled.": 3.0,
        "A third of complaints concern this.": 33.0,
    }
    text = rng.choice(list(wrong))
    if any(f.amount == wrong[text] for f in held[0].figures):
        return None
    return _with(brief, Sentence(text, (held[0].fact_id,)), rng)


def _wrong_derivation(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    held = _count_of(brief)
    if held is None:
        return None
    fact, count, expected = held
    true = count.amount - expected.amount
    refs = (f"{fact.fact_id}.1", f"{fact.fact_id}.2")
    wrong = round(true) + rng.choice([3, 7, 11])
    if not _free(brief, float(wrong)):
        return None
    good = f"{true:,.1f}".removesuffix(".0")
    cases = [
        Sentence(
            f"That is {wrong} complaints more than expected.",
            (fact.fact_id,),
            (Derivation(f"{wrong} complaints", Operation.DIFFERENCE, refs),),
        ),
        Sentence(f"That is {wrong} complaints more than expected.", (fact.fact_id,)),
        Sentence(
            f"That is {wrong} complaints more than expected.",
            (fact.fact_id,),
            (Derivation(f"{good} complaints", Operation.DIFFERENCE, refs),),
        ),
        Sentence(
            f"That is {good} customers more than expected.",
            (fact.fact_id,),
            (Derivation(f"{good} customers", Operation.DIFFERENCE, refs),),
        ),
        Sentence(
            f"{good} complaints came in.",
            (fact.fact_id,),
            (Derivation(f"{good} complaints", Operation.DIFFERENCE, refs),),
        ),
        Sentence(
            f"Together {count.amount + expected.amount:,.1f} complaints came in.",
            (fact.fact_id,),
            (Derivation(f"{count.amount + expected.amount:,.1f} complaints", Operation.SUM, refs),),
        ),
        Sentence(
            f"That is {wrong} complaints more than expected.",
            (fact.fact_id,),
            (Derivation(f"{wrong} complaints", Operation.DIFFERENCE, ("F1.1", "F99.2")),),
        ),
    ]
    if not _free(brief, float(good.replace(",", "")), count.amount + expected.amount) or true < 1:
        return None
    return _with(brief, rng.choice(cases), rng)


def _hidden_characters(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    bad = rng.choice(["\u200b", "\u202e", "\u2066", "\x1b[31m", "\x00"])
    return _instead(brief, rng, lambda s: replace(s, text=f"{s.text}{bad}"))


def _lookalike(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    fact = _fact(brief, "severity")
    assert fact is not None
    wrong = "P4" if fact.values[0] != "P4" else "P1"
    text = rng.choice(
        [
            f"The severity is Ｐ{wrong[1]}.",
            f"The severity is Р{wrong[1]}.",
            f"Severity P{chr(0x0660 + int(wrong[1]))}.",
        ]
    )
    return _with(brief, Sentence(text, (fact.fact_id,)), rng)


FORGERIES: dict[str, Forgery] = {
    "unknown fact": _unknown_fact,
    "no ids": _no_ids,
    "unknown review": _unknown_review,
    "wrong fact cited": _wrong_fact,
    "altered quotation": _altered_quotation,
    "invented quotation": _invented_quotation,
    "wrong review cited": _wrong_review_cited,
    "review as finding": _unquoted_review,
    "off by some": _off_by,
    "rounded": _rounded,
    "false bound": _false_bound,
    "count and expected swapped": _swapped_expected,
    "complaints and authors swapped": _swapped_noun,
    "wrong noun": _wrong_noun,
    "shares swapped": _swapped_share,
    "wrong percentage": _wrong_percent,
    "posterior as share": _posterior_as_share,
    "versions swapped": _versions_swapped,
    "wrong version": _wrong_version,
    "wrong date": _wrong_date,
    "dates swapped": _swapped_dates,
    "wrong length of time": _wrong_span,
    "windows swapped": _window_swapped,
    "number of another signal": _foreign_number,
    "sentence of another signal": _foreign_sentence,
    "invented cause": _false_cause,
    "cause without doubt": _sure_cause,
    "candidate blamed": _candidate_blamed,
    "cause denied to one audience": _cause_denied,
    "invented owner": _said(OWNERS),
    "invented name or place": _said(NAMES),
    "injected instruction": _said(INSTRUCTIONS),
    "link or markup": _said(MARKUP),
    "false state": _said(OTHER),
    "other severity in one text": _other_severity,
    "severity field": _severity_field,
    "owner field": _owner_field,
    "cause field": _cause_field,
    "routing hint": _hint,
    "audience left out": _left_out,
    "wrong number in words": _wrong_words,
    "wrong derivation": _wrong_derivation,
    "hidden characters": _hidden_characters,
    "lookalike characters": _lookalike,
}


def injected_action(brief: Brief, _: FactSheet, rng: Random) -> Brief | None:
    """Put an instruction among the next actions."""
    count = _fact(brief, "count")
    assert count is not None
    action = Sentence(rng.choice(INSTRUCTIONS), (count.fact_id,))
    return replace(brief, next_actions=(*brief.next_actions, action))


FORGERIES["injected action"] = injected_action
