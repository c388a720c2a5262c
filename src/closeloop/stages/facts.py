"""Computes the facts of a signal from its material, a function a topic, with figures as written."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from closeloop.domain import figures
from closeloop.domain.brief import Figure, Measure
from closeloop.domain.signal import Attribution, SignalKind
from closeloop.stages import fact_figures as fig
from closeloop.stages.brief_material import BASELINE_DAYS, TREND_DAYS, Material
from closeloop.stages.fact_figures import plain, subject_of

MAX_CANDIDATES = 6
"""Candidates for the cause that are stated one by one, the most probable first."""

MAX_SUSPECTS = 3
URGENT = 0.5

_CONCENTRATION = re.compile(
    r"=([^=;]+): ([\d,]+) of ([\d,]+) \(([<>]?[\d.]+%), usually ([<>]?[\d.]+%)\)"
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A fact without its number."""

    topic: str
    statement: str
    values: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()


def drafts(material: Material) -> list[Draft]:
    """Return the facts in a fixed order; what can't be computed is left out."""
    return [draft for compute in _FACTS for draft in compute(material)]


def _count(m: Material) -> list[Draft]:
    s = m.signal
    length = s.window_end - s.window_start
    window = fig.span(length, sense="window")
    start, end = figures.minute(s.window_start), figures.minute(s.window_end)
    complaints = figures.counted(s.count, "complaint")
    expected = fig.count(s.baseline, "complaint", sense="expected", hours=window.amount)
    times = s.count / max(s.baseline, figures.FEW)
    ratio = fig.quantity(times, Measure.TIMES) if s.baseline >= figures.FEW else None
    if ratio is None:
        against = f"where {figures.usual(s.baseline)}"
    else:
        against = f"{expected.written} were expected, so {ratio.written} times the baseline"
    product, subject = plain(m.product_name), subject_of(m)
    return [
        Draft(
            "count",
            f"{product}, {subject}: {complaints} in the {window.written} from {start} "
            f"to {end}{'; ' if ratio else ', '}{against}.",
            (
                complaints,
                expected.written,
                ratio.written if ratio else "",
                window.written,
                start,
                end,
                product,
                subject,
            ),
            (
                fig.count(s.count, "complaint", hours=window.amount),
                expected,
                *([ratio] if ratio else []),
                window,
                fig.moment(s.window_start, sense="start"),
                fig.moment(s.window_end, sense="end"),
            ),
        )
    ]


def _six_hours(m: Material) -> list[Draft]:
    s = m.signal
    written = figures.counted(s.count_6h, "complaint")
    expected = fig.count(s.baseline_6h, "complaint", sense="expected", hours=6.0)
    return [
        Draft(
            "six_hours",
            f"{written} in the last 6 hours; {expected.written} were expected.",
            (written, expected.written),
            (
                fig.count(s.count_6h, "complaint", hours=6.0),
                expected,
                fig.span(timedelta(hours=6), sense="window"),
            ),
        )
    ]


def _share(m: Material) -> list[Draft]:
    if m.signal.kind not in (SignalKind.CATEGORY, SignalKind.THEME):
        return []
    window = [h for h in m.hours if h.hour >= m.signal.window_start]
    before = [h for h in m.hours if h.hour < m.signal.window_start]
    own, total = sum(h.own for h in window), sum(h.total for h in window)
    own_before, total_before = sum(h.own for h in before), sum(h.total for h in before)
    if total <= 0 or own > total:
        return []
    now = fig.share(own / total, sense="share")
    all_ = figures.counted(total, "complaint")
    held = (now, fig.count(total, "complaint", sense="product"))
    if total_before <= 0:
        statement = f"{now.written} of the product's {all_} in that time."
        return [Draft("share", statement, (now.written, all_, ""), held)]
    usual = fig.share(min(1.0, own_before / total_before), sense="before")
    return [
        Draft(
            "share",
            f"{now.written} of the product's {all_} in that time; in the {BASELINE_DAYS} days "
            f"before, {usual.written}.",
            (now.written, all_, usual.written),
            (*held, usual, _days(BASELINE_DAYS)),
        )
    ]


def _days(number: int) -> Figure:
    return Figure(f"{number} days", Measure.SPAN, 24.0 * number, sense="past")


def _trend(m: Material) -> list[Draft]:
    last = m.signal.window_end - timedelta(microseconds=1)
    days = [last.date() - timedelta(days=n) for n in reversed(range(TREND_DAYS))]
    counts: Counter[date] = Counter()
    for hour in m.hours:
        counts[hour.hour.date()] += hour.own
    if not counts:
        return []
    parts = [f"{figures.short_day(d)} {figures.whole(counts[d])}" for d in days]
    until = figures.minute(m.signal.window_end)
    whose = "" if m.signal.kind in (SignalKind.CATEGORY, SignalKind.THEME) else " of the product"
    line = ", ".join(parts)
    held = [fig.count(counts[d], "complaint", label=figures.short_day(d)) for d in days]
    held += [fig.day(_midnight(d), sense="day", label=figures.short_day(d)) for d in days]
    return [
        Draft(
            "trend",
            f"Complaints{whose} a day: {line} (until {until}).",
            (line, until),
            (*held, fig.moment(m.signal.window_end, sense="end")),
        )
    ]


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _authors(m: Material) -> list[Draft]:
    if m.signal.authors <= 0:
        return []
    authors = figures.counted(m.signal.authors, "author")
    held = (fig.count(m.signal.authors, "author"),)
    return [Draft("authors", f"They come from {authors}.", (authors,), held)]


def _ratings(m: Material) -> list[Draft]:
    rated = [row["rating"] for row in m.complaints if row["rating"] is not None]
    if not rated:
        return []
    mean = fig.quantity(sum(rated) / len(rated), Measure.RATING)
    counted = fig.count(len(rated), "complaint", sense="rated")
    low = fig.count(sum(r <= 2 for r in rated), "complaint", sense="low")
    return [
        Draft(
            "ratings",
            f"Mean rating {mean.written} over {counted.written} of them with stars; {low.written} "
            "have at most 2 stars.",
            (mean.written, counted.written, low.written),
            (mean, counted, low, Figure("2", Measure.RATING, 2.0, sense="bound")),
        )
    ]


def _segment(m: Material) -> list[Draft]:
    found: list[Draft] = []
    if m.signal.segment:
        segment = plain(m.signal.segment, limit=160)
        held = tuple(f for match in _CONCENTRATION.finditer(segment) for f in _concentrated(match))
        statement = f"They concentrate in one segment: {segment}."
        found.append(Draft("segment", statement, (segment,), held))
    for column, noun in (("platform", "platform"), ("region", "region")):
        named = Counter(plain(str(r[column])) for r in m.complaints if r[column])
        if len(named) > 0 and sum(named.values()) >= 5:
            found.append(_by(column, f"By {noun}", _top(named, 3)))
    return found


def _concentrated(match: re.Match[str]) -> Iterator[Figure]:
    """Yield the figures of one segment as `stats.segments` writes them."""
    label, part, whole, now, usual = match.groups()
    yield Figure(part, Measure.COUNT, fig.amount_of(part), "complaint", label=label)
    yield Figure(whole, Measure.COUNT, fig.amount_of(whole), "complaint", "product", label)
    yield Figure(now, Measure.SHARE, fig.amount_of(now), sense="share", label=label)
    yield Figure(usual, Measure.SHARE, fig.amount_of(usual), sense="before", label=label)


def _by(topic: str, lead: str, top: Sequence[tuple[str, int]]) -> Draft:
    line = ", ".join(f"{name} {figures.whole(n)}" for name, n in top)
    held = tuple(fig.count(n, "complaint", label=name) for name, n in top)
    return Draft(topic, f"{lead}: {line}.", (line,), held)


def _versions(m: Material) -> list[Draft]:
    complaints = Counter(plain(str(r["version"])) for r in m.complaints if r["version"])
    reviews = Counter(plain(str(r["version"])) for r in m.reviews if r["version"])
    if not complaints:
        return []
    parts: list[str] = []
    held: list[Figure] = []
    for version, n in _top(complaints, 3):
        all_ = max(reviews[version], n)
        portion = fig.share(n / all_, sense="within", label=version)
        parts.append(f"{version}: {figures.whole(n)} of {figures.whole(all_)} ({portion.written})")
        held += [
            fig.count(n, "complaint", label=version),
            fig.count(all_, "review", label=version),
            portion,
        ]
    line = ", ".join(parts)
    statement = f"Complaints among all feedback of a version: {line}."
    return [Draft("versions", statement, (line,), tuple(held))]


def _exposure(m: Material) -> list[Draft]:
    users: Counter[str] = Counter()
    newest: dict[str, Any] = {}
    for row in m.exposure:
        version = plain(str(row["version"] or ""))
        if version and (version not in newest or row["start"] >= newest[version]):
            if version not in newest or row["start"] > newest[version]:
                users[version] = 0
            newest[version] = row["start"]
            users[version] += round(row["users"])
    if not users:
        return []
    top = _top(users, 3)
    line = ", ".join(f"{version}: {figures.whole(n)}" for version, n in top)
    at = max(newest.values())
    statement = f"Users by version, newest figure known ({figures.minute(at)}): {line}."
    held = tuple(fig.count(n, "user", label=version) for version, n in top)
    return [Draft("exposure", statement, (line,), (*held, fig.moment(at, sense="newest")))]


def _customers(m: Material) -> list[Draft]:
    found: list[Draft] = []
    tiers = Counter(plain(str(r["customer_tier"])) for r in m.complaints if r["customer_tier"])
    if tiers:
        found.append(_by("tiers", "By customer tier", _top(tiers, 4)))
    values = [r["order_value"] for r in m.complaints if r["order_value"] is not None]
    if values:
        orders, worth = figures.counted(len(values), "order"), figures.whole(sum(values))
        money = Figure(worth, Measure.WORTH, fig.amount_of(worth))
        found.append(
            Draft(
                "orders",
                f"{orders} with a known value, worth {worth} together.",
                (orders, worth),
                (fig.count(len(values), "order"), money),
            )
        )
    return found


def _urgent(m: Material) -> list[Draft]:
    urgent = [r for r in m.complaints if (r.get("urgency") or 0.0) >= URGENT]
    if not urgent:
        return []
    reasons = Counter(plain(str(w)) for r in urgent for w in r.get("urgency_reasons") or ())
    top = _top(reasons, 3)
    why = ", ".join(f"{reason} {figures.whole(n)}" for reason, n in top)
    some = fig.count(len(urgent), "complaint", sense="urgent")
    read = fig.count(len(m.complaints), "complaint", sense="read")
    held = tuple(fig.count(n, "complaint", sense="urgent", label=reason) for reason, n in top)
    return [
        Draft(
            "urgent",
            f"{some.written} of {read.written} are urgent{': ' + why if why else ''}.",
            (some.written, read.written, why),
            (some, read, *held),
        )
    ]


def _severity(m: Material) -> list[Draft]:
    terms = sorted(m.signal.severity_terms, key=lambda t: (-t.points, t.name))
    total = fig.points(sum(t.points for t in terms))
    spelled = [
        f"{plain(t.name)} {figures.whole(t.points)} of {figures.whole(t.weight)} "
        f"({plain(t.reason, limit=160)})"
        for t in terms
    ]
    rest = f" from {'; '.join(spelled)}" if spelled else ""
    severity = m.signal.severity.value
    held = [total]
    for term in terms:
        held.append(fig.points(term.points, label=plain(term.name)))
        held.append(fig.points(term.weight, label=plain(term.name), sense="weight"))
    return [
        Draft(
            "severity",
            f"Severity {severity}, {total.written} points{rest}.",
            (severity, total.written),
            tuple(held),
        )
    ]


def _evidence(m: Material) -> list[Draft]:
    s = m.signal
    evidence = fig.strength(s.evidence)
    threshold = fig.quantity(s.threshold, Measure.EVIDENCE, sense="threshold")
    detector, family = plain(s.detector), fig.count(s.family_size, "series")
    found = [
        Draft(
            "evidence",
            f"Detector {detector}: evidence {evidence.written}, threshold {threshold.written}, "
            f"{family.written} series tested together.",
            (detector, evidence.written, threshold.written, family.written),
            (evidence, threshold, family),
        )
    ]
    if s.reviews_exposed is not None and s.reviews_unexposed is not None:
        version = plain(s.version or "")
        on = fig.count(s.reviews_exposed, "review", sense="exposed")
        against = fig.count(s.reviews_unexposed, "review", sense="unexposed")
        found.append(
            Draft(
                "release_watch",
                f"{on.written} reviews of version {version}, compared with {against.written} "
                "others.",
                (on.written, against.written),
                (on, against),
            )
        )
    if s.confidence is not None:
        confidence = fig.share(s.confidence, sense="confidence")
        mark = "calibrated" if s.confidence_calibrated else "not calibrated yet"
        statement = f"Confidence {confidence.written}, {mark}."
        found.append(Draft("confidence", statement, (confidence.written, mark), (confidence,)))
    return found


def _attribution(m: Material) -> list[Draft]:
    found: list[Draft] = []
    for a in m.attributions[:MAX_CANDIDATES]:
        if a.change_id is None:
            none = fig.share(a.posterior, sense="posterior", label="none")
            statement = f"None of the known changes is behind it: {none.written} likely."
            found.append(Draft("none", statement, (none.written,), (none,)))
            continue
        name, kind = plain(a.name), plain(a.kind)
        posterior = fig.share(a.posterior, sense="posterior", label=name)
        effect, held = _effect(a, name)
        verdict = "blamed" if a.blamed else "not blamed"
        change = m.changes.get(a.change_id)
        began = f", began {figures.minute(change['started_at'])}" if change else ""
        times = (fig.moment(change["started_at"], sense="began", label=name),) if change else ()
        found.append(
            Draft(
                "blamed" if a.blamed else "candidate",
                f"{kind.capitalize()} {name}{began}: {posterior.written} likely{effect}; {verdict}.",
                (kind, name, posterior.written, effect.removeprefix("; ")),
                (posterior, *times, *held),
            )
        )
    return found


def _effect(a: Attribution, name: str) -> tuple[str, tuple[Figure, ...]]:
    if a.effect is None:
        return "", ()
    effect = fig.quantity(a.effect, Measure.ODDS, label=name)
    held = [effect]
    ends = []
    for end in (a.effect_low, a.effect_high):
        if end is None:
            ends.append("?")
            continue
        one = fig.quantity(end, Measure.ODDS, sense="interval", label=name)
        held.append(one)
        ends.append(one.written)
    held.append(Figure("95%", Measure.SHARE, 95.0, sense="interval"))
    sides = ""
    if a.exposed is not None and a.unexposed is not None:
        on = fig.count(a.exposed, "review", sense="exposed", label=name)
        off = fig.count(a.unexposed, "review", sense="unexposed", label=name)
        held += [on, off]
        sides = f", {on.written} reviews with it and {off.written} without"
    written = f"; odds ratio {effect.written} (95% interval {ends[0]} to {ends[1]}{sides})"
    return written, tuple(held)


def _cause_time(m: Material) -> list[Draft]:
    blamed = next((a for a in m.attributions if a.blamed and a.change_id), None)
    change: Mapping[str, Any] | None = m.changes.get(blamed.change_id or "") if blamed else None
    if blamed is None or change is None:
        return []
    started, detected = change["started_at"], m.signal.detected_at
    name, kind = plain(blamed.name), plain(blamed.kind)
    raised = fig.span(abs(detected - started), sense="raised")
    before = "before" if detected < started else "after"
    return [
        Draft(
            "cause_time",
            f"The signal was raised {figures.minute(detected)}, {raised.written} {before} "
            f"{kind} {name} began ({figures.minute(started)}).",
            (raised.written, before, figures.minute(started)),
            (
                fig.moment(detected, sense="raised"),
                raised,
                fig.moment(started, sense="began", label=name),
            ),
        )
    ]


def _suspects(m: Material) -> list[Draft]:
    found: list[Draft] = []
    for suspect in m.suspects[:MAX_SUSPECTS]:
        text = plain(suspect["text"], limit=120)
        place, of = (fig.quantity(suspect[k], Measure.COUNT, sense=k) for k in ("place", "of"))
        change = plain(str(m.changes.get(suspect["change_id"], {}).get("name") or "the change"))
        found.append(
            Draft(
                "suspect",
                f"Suspect {place.written} of {of.written} notes of {change}, {suspect['basis']}: "
                f"{text}.",
                (place.written, of.written, text),
                (place, of),
            )
        )
    return found


def _past(m: Material) -> list[Draft]:
    found: list[Draft] = []
    for ticket in m.past_tickets:
        fixed = f", fixed in {plain(ticket.fixed_version)}" if ticket.fixed_version else ""
        opened = figures.day(ticket.opened_at)
        title, status = plain(ticket.title, limit=120), ticket.status.value.replace("_", " ")
        found.append(
            Draft(
                "past",
                f"Similar ticket of {opened} ({status}{fixed}): {title}.",
                (opened, status, title),
                (fig.day(ticket.opened_at, sense="past"),),
            )
        )
    return found


def _owner(m: Material) -> list[Draft]:
    owner = plain(m.owner.owner)
    return [Draft("owner", f"Owner by the rules: {owner}.", (owner,))]


_FACTS: tuple[Callable[[Material], Sequence[Draft]], ...] = (
    _count,
    _six_hours,
    _share,
    _trend,
    _authors,
    _ratings,
    _urgent,
    _customers,
    _segment,
    _versions,
    _exposure,
    _attribution,
    _cause_time,
    _suspects,
    _severity,
    _evidence,
    _past,
    _owner,
)


def _top(counter: Counter[str], limit: int) -> list[tuple[str, int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:limit]
