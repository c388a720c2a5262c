"""Writes supported briefs in many wordings from a fact sheet, as a good language model would.

It takes figures from the sheet and words from its own templates, and shares nothing with the check
that briefs have to pass: what it writes is right by construction, whether the check agrees or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from random import Random

from closeloop.domain.brief import (
    Brief,
    Derivation,
    Fact,
    FactSheet,
    Figure,
    Measure,
    Operation,
    Quotation,
    Sentence,
)

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety"
_MONTHS = "January February March April May June July August September October November December"


class GoodBriefs:
    """Writes briefs of one sheet; the random numbers that are handed in choose the wordings."""

    def __init__(self, sheet: FactSheet, rng: Random) -> None:
        self.sheet = sheet
        self.rng = rng
        self._count = self._fact("count")

    def write(self) -> Brief:
        """Return one brief."""
        blamed, owner, severity = self._fact("blamed"), self._fact("owner"), self._fact("severity")
        assert owner is not None
        assert severity is not None
        return Brief(
            brief_id="",
            signal_id=self.sheet.signal_id,
            title=self.title(),
            summary=self._some(
                self.count, self.share, self.cause, self.severity, self.voice, least=3
            ),
            impacted_area=self._some(self.area, self.versions, self.parts, least=1),
            likely_cause=(self.cause(), *self._some(self.others, self.timing, least=0)),
            urgency=(self.severity(), *self._some(self.urgent, self.pace, least=0)),
            severity=severity.values[0],
            cause=blamed.values[1] if blamed else "",
            recommended_owner=owner.values[0],
            routing_hints=(),
            next_actions=tuple(self._actions()),
            engineering=(
                self.cause(),
                *self._some(self.count, self.pace, self.versions, self.odds, self.voice, least=2),
            ),
            support=self._some(self.count, self.urgent, self.voice, self.unconfirmed, least=2),
            product=self._some(
                self.share, self.trend, self.ratings, self.authors, self.voice, least=2
            ),
            leadership=(
                self.severity(),
                self.cause(),
                *self._some(self.count, self.owner, least=1),
            ),
            fact_sheet=self.sheet,
            writer="good",
            prompt_version="",
            verified=False,
            problems=(),
            made_at=datetime(2024, 1, 1, tzinfo=UTC),
        )

    def _fact(self, topic: str) -> Fact | None:
        return next((f for f in self.sheet.facts if f.topic == topic), None)

    def _some(self, *makers: Callable[[], Sentence | None], least: int) -> tuple[Sentence, ...]:
        made = [s for s in (maker() for maker in makers) if s is not None]
        number = self.rng.randint(min(least, len(made)), len(made))
        kept = sorted(self.rng.sample(range(len(made)), number))
        found = [made[i] for i in kept]
        if self.rng.random() < 0.3:
            self.rng.shuffle(found)
        return tuple(found) or (self.count(),)

    def _say(self, facts: list[Fact], *templates: str, **words: str) -> Sentence:
        template = self.rng.choice(templates)
        text = template.format(**words)
        return Sentence(text[:1].upper() + text[1:], tuple(dict.fromkeys(f.fact_id for f in facts)))

    # How figures are written.

    def number(self, figure: Figure) -> str:
        """Return a count in digits, or in words where it is small."""
        value = figure.amount
        if value == int(value) and 2 <= value < 100 and self.rng.random() < 0.25:
            return in_words(int(value))
        if value >= 1000 and self.rng.random() < 0.3:
            return f"{value:.0f}"
        return figure.written

    def percent(self, figure: Figure) -> str:
        """Return a share as 41%, 41 %, 41 percent or 41 per cent."""
        if figure.written.startswith(">"):
            return self.rng.choice([figure.written, f"more than {figure.written[1:]}"])
        if figure.written.startswith("<"):
            return self.rng.choice([figure.written, f"less than {figure.written[1:]}"])
        digits = figure.written.rstrip("%")
        return digits + self.rng.choice(["%", "%", "%", " percent", " per cent"])

    def moment(self, figure: Figure) -> str:
        """Return a date, with its time or without, in one of the ways that read one way only."""
        at = datetime.fromtimestamp(figure.amount * 60, UTC)
        month = _MONTHS.split()[at.month - 1]
        ending = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}.get(
            at.day, "th"
        )
        forms = [
            f"{at.day} {month} {at.year}",
            f"{month} {at.day}, {at.year}",
            f"{month} {at.day}{ending}",
            f"{at.day} {month[:3]}",
            f"{at:%Y-%m-%d}",
            f"the {at.day}{ending} of {month}",
        ]
        if ":" in figure.written:
            forms += [
                figure.written,
                f"{at:%Y-%m-%d %H:%M} UTC",
                f"{at.day} {month}, {at:%H:%M} UTC",
            ]
        return self.rng.choice(forms)

    def span(self, figure: Figure) -> str:
        """Return a length of time as it is written, or exactly converted."""
        hours = figure.amount
        forms = [figure.written]
        if hours in (24.0, 48.0, 72.0):
            forms.append({24.0: "24 hours", 48.0: "two days", 72.0: "three days"}[hours])
        if hours == 12.0:
            forms.append("half a day")
        return self.rng.choice(forms)

    # What sentences say.

    def title(self) -> Sentence:
        """A headline."""
        assert self._count is not None
        c = self._count
        words = {
            "product": c.values[6],
            "subject": c.values[7],
            "n": c.figures[0].written,
            "x": c.values[2],
        }
        return self._say(
            [c],
            *(["{product}: {subject} at {x} times the usual level"] if words["x"] else []),
            "{n} complaints about {subject} in {product}",
            "{product}: {subject} complaints well above the baseline ({n})",
            "Spike in {subject} complaints for {product}",
            **words,
        )

    def count(self) -> Sentence:
        """How many complaints there are, against the baseline."""
        assert self._count is not None
        c = self._count
        count, expected = c.figures[:2]
        window, start, end = c.figures[-3:]
        ratio = next((f for f in c.figures if f.measure is Measure.TIMES), None)
        words = {
            "product": c.values[6],
            "subject": c.values[7],
            "n": self.number(count),
            "e": expected.written,
            "x": ratio.written if ratio else "",
            "w": self.span(window),
            "start": self.moment(start),
            "end": self.moment(end),
        }
        plural = "complaints" if count.amount != 1 else "complaint"
        words["c"] = plural
        forms = [
            "{product} received {n} {c} about {subject} in {w}; the baseline is {e}.",
            "{n} {c} about {subject} came in within {w}, against {e} expected.",
            "between {start} and {end}, we counted {n} {c}, where {e} would be usual.",
            "complaints about {subject} are running at {x} times the normal level.",
            "complaints rose to {n}, which is {x} times the expected {e}.",
            "with {n} {c} in {w}, {subject} is far above the usual {e}.",
            "in {w}, {product} saw {n} {c} instead of the expected {e}, a factor of {x}.",
            "since {start}, there have been {n} {c} about {subject}.",
            "the expected number was {e}; {n} {c} arrived, {x}x the baseline.",
            "{subject} has drawn {n} {c}, compared with a baseline of {e}.",
        ]
        if ratio is None:
            return self._say([c], *(f for f in forms if "{x}" not in f), **words)
        if self.rng.random() < 0.2 and not count.written.startswith(">"):
            return self._excess(c, count, expected)
        if self.rng.random() < 0.1 and ratio.amount >= 3 and ratio.amount != round(ratio.amount):
            near = round(ratio.amount)
            if abs(near - ratio.amount) <= 0.05 * ratio.amount:
                words["r"] = str(near)
                forms = ["complaints about {subject} are at about {r} times the usual level."]
        return self._say([c], *forms, **words)

    def _excess(self, fact: Fact, count: Figure, expected: Figure) -> Sentence:
        more = count.amount - expected.amount
        written = f"{more:,.1f}".removesuffix(".0")
        text = self.rng.choice(
            [
                f"That is {written} complaints more than expected.",
                f"Customers sent {written} more complaints than the baseline allows for.",
                f"The excess over the baseline is {written} complaints.",
            ]
        )
        operands = (f"{fact.fact_id}.1", f"{fact.fact_id}.2")
        derived = Derivation(f"{written} complaints", Operation.DIFFERENCE, operands)
        return Sentence(text, (fact.fact_id,), (derived,))

    def pace(self) -> Sentence | None:
        """The last six hours."""
        fact = self._fact("six_hours")
        if fact is None or fact.figures[0].amount < 2:
            return None
        words = {"n": self.number(fact.figures[0]), "e": fact.figures[1].written}
        return self._say(
            [fact],
            "in the last six hours alone there were {n} complaints; {e} were expected.",
            "{n} complaints came in during the last 6 hours, where {e} would be normal.",
            "over the past 6 hours we counted {n} complaints against a baseline of {e}.",
            **words,
        )

    def share(self) -> Sentence | None:
        """The share of the product's complaints."""
        fact = self._fact("share")
        if fact is None or len(fact.figures) < 3:
            return None
        words = {
            "s": self.percent(fact.figures[0]),
            "all": fact.figures[1].written,
            "before": self.percent(fact.figures[2]),
        }
        return self._say(
            [fact],
            "they make up {s} of the product's {all} complaints, up from {before} in the 28 days before.",
            "{s} of all complaints about the product concern this, compared with {before} previously.",
            "the topic accounts for {s} of complaints in that time; its usual share is {before}.",
            "its share of the product's complaints is {s}, while in the previous 28 days it was {before}.",
            **words,
        )

    def authors(self) -> Sentence | None:
        """How many wrote."""
        fact = self._fact("authors")
        if fact is None or fact.figures[0].amount < 2:
            return None
        return self._say(
            [fact],
            "{n} different authors wrote them.",
            "they come from {n} distinct customers.",
            "{n} customers are behind these complaints.",
            "the number of separate authors is {n}.",
            n=self.number(fact.figures[0]),
        )

    def ratings(self) -> Sentence | None:
        """Stars."""
        fact = self._fact("ratings")
        if fact is None:
            return None
        words = {
            "mean": fact.figures[0].written,
            "n": fact.figures[1].written,
            "low": fact.figures[2].written,
        }
        return self._say(
            [fact],
            "the average rating is {mean} stars.",
            "of {n} complaints with stars, {low} gave at most two stars.",
            "the mean rating stands at {mean}, and {low} complaints have two stars or fewer.",
            **words,
        )

    def trend(self) -> Sentence | None:
        """Two days of the trend."""
        fact = self._fact("trend")
        if fact is None:
            return None
        days = {f.label: f for f in fact.figures if f.measure is Measure.MOMENT and f.label}
        counts = {f.label: f for f in fact.figures if f.measure is Measure.COUNT}
        labels = [label for label in counts if label in days]
        if len(labels) < 2:
            return None
        one, two = labels[self.rng.randint(0, len(labels) - 2)], labels[-1]
        words = {
            "d1": one,
            "n1": counts[one].written,
            "d2": two,
            "n2": counts[two].written,
        }
        return self._say(
            [fact],
            "the daily count went from {n1} on {d1} to {n2} on {d2}.",
            "on {d1} there were {n1} complaints, and on {d2} {n2}.",
            "{d1} saw {n1} complaints; {d2} saw {n2}.",
            "we counted {n2} complaints on {d2}, against {n1} on {d1}.",
            **words,
        )

    def area(self) -> Sentence:
        """What is affected."""
        assert self._count is not None
        words = {"product": self._count.values[6], "subject": self._count.values[7]}
        return self._say(
            [self._count],
            "customers of {product} are affected, specifically with {subject}.",
            "{product}: {subject}.",
            "the affected area is {subject} in {product}.",
            **words,
        )

    def versions(self) -> Sentence | None:
        """Complaints by version."""
        fact = self._fact("versions")
        if fact is None:
            return None
        labels = list(dict.fromkeys(f.label for f in fact.figures))
        label = self.rng.choice(labels)
        n, m, share = [f for f in fact.figures if f.label == label]
        words = {"v": label, "n": n.written, "m": m.written, "s": self.percent(share)}
        return self._say(
            [fact],
            "on version {v}, {n} of {m} reviews are complaints ({s}).",
            "{s} of the feedback on version {v} complains about this.",
            "version {v} has {n} complaints among {m} reviews.",
            "of the {m} reviews on version {v}, {n} complain.",
            **words,
        )

    def parts(self) -> Sentence | None:
        """Complaints by platform, region or tier."""
        facts = [f for f in self.sheet.facts if f.topic in ("platform", "region", "tiers")]
        if not facts:
            return None
        fact = self.rng.choice(facts)
        figure = self.rng.choice(fact.figures)
        return self._say(
            [fact],
            "{n} of the complaints are from {label}.",
            "{label} accounts for {n} complaints.",
            "for {label} the count is {n}.",
            n=figure.written,
            label=figure.label,
        )

    def urgent(self) -> Sentence | None:
        """How many are urgent."""
        fact = self._fact("urgent")
        if fact is None:
            return None
        return self._say(
            [fact],
            "{u} of {r} complaints are urgent.",
            "{u} of the {r} complaints that were read are marked as urgent.",
            "customers with urgent complaints: {u} of {r}.",
            u=fact.figures[0].written,
            r=fact.figures[1].written,
        )

    def severity(self) -> Sentence:
        """Severity and points."""
        fact = self._fact("severity")
        assert fact is not None
        return self._say(
            [fact],
            "the severity is {p}, with {n} points.",
            "this is rated {p} ({n} points).",
            "severity {p}.",
            "it scores {n} points, which makes it {p}.",
            p=fact.values[0],
            n=fact.figures[0].written,
        )

    def cause(self) -> Sentence:
        """What is blamed, or that nothing is."""
        blamed = self._fact("blamed")
        if blamed is None:
            return self._no_cause()
        kind, name = blamed.values[0], blamed.values[1]
        began = next((f for f in blamed.figures if f.sense == "began"), None)
        forms = [
            "{kind} {name} is the likely cause ({s} likely), but this is not confirmed.",
            "the evidence points to {kind} {name}, with a probability of {s}.",
            "{kind} {name} is blamed: the link is {s} likely and has to be confirmed in the code.",
            "most likely, {kind} {name} is behind it ({s} likely).",
            "complaints appear to be linked to {kind} {name}; the posterior is {s}.",
        ]
        words = {"kind": kind, "name": name, "s": self.percent(blamed.figures[0])}
        if began is not None:
            words["began"] = self.moment(began)
            forms += [
                "{kind} {name}, which began on {began}, is the probable cause.",
                "the likely cause is {kind} {name}, rolled out from {began} ({s} likely).",
            ]
        return self._say([blamed], *forms, **words)

    def _no_cause(self) -> Sentence:
        none = self._fact("none")
        assert self._count is not None
        if none is None:
            return self._say(
                [self._count],
                "no known change explains this, so the cause is open.",
                "the cause is not known yet.",
                "no cause has been identified.",
            )
        return self._say(
            [none],
            "none of the known changes explains it ({s} likely).",
            "no known change is blamed; that none of them is behind it is {s} likely.",
            "the cause is unknown: with a probability of {s}, none of the known changes is responsible.",
            s=self.percent(none.figures[0]),
        )

    def others(self) -> Sentence | None:
        """A candidate that is not blamed."""
        facts = [f for f in self.sheet.facts if f.topic == "candidate" and f.figures[0].amount < 25]
        if not facts:
            return None
        fact = self.rng.choice(facts)
        return self._say(
            [fact],
            "{kind} {name} was looked at as well and is not blamed ({s} likely).",
            "{kind} {name} is unlikely to be behind it: {s} likely.",
            "{kind} {name} was considered and is not blamed.",
            kind=fact.values[0],
            name=fact.values[1],
            s=self.percent(fact.figures[0]),
        )

    def odds(self) -> Sentence | None:
        """The odds ratio of what is blamed."""
        blamed = self._fact("blamed")
        odds = [f for f in blamed.figures if f.measure is Measure.ODDS] if blamed else []
        if blamed is None or len(odds) < 3:
            return None
        return self._say(
            [blamed],
            "the odds ratio for {kind} {name} is {o} (95% interval {low} to {high}).",
            "for {kind} {name}, the odds ratio is {o}.",
            kind=blamed.values[0],
            name=blamed.values[1],
            o=odds[0].written,
            low=odds[1].written,
            high=odds[2].written,
        )

    def timing(self) -> Sentence | None:
        """How long after the change the signal was raised."""
        fact = self._fact("cause_time")
        if fact is None:
            return None
        raised, span, began = fact.figures
        blamed = self._fact("blamed")
        assert blamed is not None
        return self._say(
            [fact],
            "the signal was raised {s} {side} {kind} {name} began.",
            "{kind} {name} began on {began}; the signal was raised {s} {later}.",
            "it was detected on {raised}, {s} {side} the start of {kind} {name}.",
            s=span.written,
            side=fact.values[1],
            later="later" if fact.values[1] == "after" else "earlier",
            kind=blamed.values[0],
            name=blamed.values[1],
            began=self.moment(began),
            raised=self.moment(raised),
        )

    def owner(self) -> Sentence:
        """Who owns it."""
        fact = self._fact("owner")
        assert fact is not None
        return self._say(
            [fact],
            "the recommended owner is {o}.",
            "{o} should own this.",
            "it is routed to {o}.",
            "owner: {o}.",
            o=fact.values[0],
        )

    def unconfirmed(self) -> Sentence:
        """What support may say of the cause."""
        fact = self._fact("blamed") or self._fact("none") or self._count
        assert fact is not None
        return self._say(
            [fact],
            "please do not name a cause to customers until it is confirmed.",
            "the cause is not confirmed yet, so avoid naming one to customers.",
        )

    def voice(self) -> Sentence | None:
        """What customers write, word for word."""
        quotations = [q for q in self.sheet.quotations if q.role != "dissenting"]
        if not quotations:
            return None
        one = self.rng.choice(quotations)
        said = excerpt(one, self.rng)
        lead = self.rng.choice(
            [
                "One customer writes: “{q}”.",
                "A customer reports “{q}”.",
                "In their own words: “{q}”.",
                "For example: “{q}”.",
            ]
        )
        return Sentence(lead.format(q=said), (one.feedback_id,))

    def _actions(self) -> Iterator[Sentence]:
        blamed, owner = self._fact("blamed"), self._fact("owner")
        assert owner is not None
        if blamed is not None:
            kind, name = blamed.values[0], blamed.values[1]
            yield self._say(
                [blamed],
                "review what changed in {kind} {name} and try to reproduce the complaints.",
                "compare {kind} {name} with the state before it.",
                "consider pausing {kind} {name} until the link is confirmed.",
                "check the logs for {kind} {name}.",
                kind=kind,
                name=name,
            )
        else:
            yield self._say(
                [owner],
                "find out what changed at that time and add it to closeloop.",
                "investigate what the complaints have in common.",
                "collect details from affected customers to narrow down the cause.",
            )
        if self._fact("urgent") is not None and self.rng.random() < 0.7:
            urgent = self._fact("urgent")
            assert urgent is not None
            yield self._say(
                [urgent],
                "answer the urgent complaints first.",
                "reach out to customers with urgent complaints.",
            )
        yield self._say(
            [owner],
            "assign the investigation to {o}.",
            "monitor the daily count until it is back at the baseline.",
            "have {o} confirm or rule out the likely cause.",
            o=owner.values[0],
        )


def excerpt(quotation: Quotation, rng: Random) -> str:
    """Return a review's words, whole or from one word to another, never within one."""
    words = quotation.text.split(" ")
    if len(words) < 8 or rng.random() < 0.6 or any(c in quotation.text for c in '“”"«»<>'):
        return quotation.text
    start = rng.randint(0, len(words) - 6)
    end = rng.randint(start + 4, len(words))
    return " ".join(words[start:end]).strip()


def in_words(value: int) -> str:
    """Return a number below 100 in words."""
    if value < 20:
        return _ONES.split()[value]
    tens, ones = divmod(value, 10)
    word = _TENS.split()[tens]
    return f"{word}-{_ONES.split()[ones]}" if ones else word
