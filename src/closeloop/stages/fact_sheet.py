"""Computes the numbered facts of a signal: all that a brief may state, with figures as written."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from closeloop.domain import figures
from closeloop.domain.brief import Fact, FactSheet, Quotation
from closeloop.domain.signal import Attribution, SignalKind
from closeloop.stages.brief_material import BASELINE_DAYS, TREND_DAYS, Material
from closeloop.stages.quotations import choose

MAX_CANDIDATES = 6
"""Candidates for the cause that are stated one by one, the most probable first."""

NAME_CHARACTERS = 80
URGENT = 0.5

Draft = tuple[str, str, tuple[str, ...]]
"""(topic, statement, values)"""


def fact_sheet(material: Material) -> FactSheet:
    """Return the fact sheet of a signal; facts that can't be computed are left out.

    Facts are numbered F1, F2, … in a fixed order, so the same material gives the same sheet.
    """
    drafts: list[Draft] = []
    for compute in _FACTS:
        drafts += compute(material)
    facts = tuple(
        Fact(f"F{number}", statement, values, topic)
        for number, (topic, statement, values) in enumerate(drafts, start=1)
    )
    quotations = choose(
        material.candidates(material.complaints),
        dissenting=material.candidates(material.dissenting()),
    )
    return FactSheet(material.signal.signal_id, facts, quotations, _names(material))


def plain(name: str, *, limit: int = NAME_CHARACTERS) -> str:
    """Return a name as one line of printable characters without quotation marks, at most `limit`.

    Labels and versions come from customers: a name must not be able to pass for a quotation,
    for markup, or for more text than a name.
    """
    shown = "".join(c if unicodedata.category(c)[0] not in "CZ" else " " for c in name)
    return " ".join(re.sub(r"[“”\"`<>\[\]]", "'", shown).split())[:limit]


def subject_of(material: Material) -> str:
    """Return what the signal is about, in a few words."""
    signal = material.signal
    if signal.kind is SignalKind.RELEASE and signal.version:
        return f"low ratings of version {plain(signal.version)}"
    if signal.kind is SignalKind.THEME and signal.category and signal.category != material.label:
        return f"{plain(signal.category)} ({plain(material.label)})"
    return plain(material.label)


def as_json(sheet: FactSheet, *, basis: Mapping[str, Any]) -> str:
    """Return the sheet as the JSON that gold.brief keeps; `basis` is what made a brief due."""
    return json.dumps(
        {
            "signal_id": sheet.signal_id,
            "facts": [
                {
                    "fact_id": f.fact_id,
                    "topic": f.topic,
                    "statement": f.statement,
                    "values": list(f.values),
                }
                for f in sheet.facts
            ],
            "quotations": [_quotation(q) for q in sheet.quotations],
            "names": list(sheet.names),
            "basis": dict(basis),
        },
        ensure_ascii=False,
        sort_keys=True,
    )


def _quotation(quotation: Quotation) -> dict[str, Any]:
    return {
        "feedback_id": quotation.feedback_id,
        "text": quotation.text,
        "rating": quotation.rating,
        "event_time": quotation.event_time.isoformat(),
        "version": quotation.version,
        "role": quotation.role,
    }


def _count(m: Material) -> list[Draft]:
    s = m.signal
    length = figures.span(s.window_end - s.window_start)
    start, end = figures.minute(s.window_start), figures.minute(s.window_end)
    complaints = figures.counted(s.count, "complaint")
    ratio = figures.decimal(s.ratio)
    expected = figures.decimal(s.baseline)
    return [
        (
            "count",
            f"{plain(m.product_name)}, {subject_of(m)}: {complaints} in the {length} from {start} "
            f"to {end}; {expected} were expected, so {ratio} times the baseline.",
            (complaints, expected, ratio, length, start, end, plain(m.product_name), subject_of(m)),
        )
    ]


def _six_hours(m: Material) -> list[Draft]:
    s = m.signal
    count, expected = figures.counted(s.count_6h, "complaint"), figures.decimal(s.baseline_6h)
    return [
        ("six_hours", f"{count} in the last 6 hours; {expected} were expected.", (count, expected))
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
    share, all_ = figures.percent(own / total), figures.counted(total, "complaint")
    if total_before <= 0:
        return [("share", f"{share} of the product's {all_} in that time.", (share, all_, ""))]
    usual = figures.percent(min(1.0, own_before / total_before))
    return [
        (
            "share",
            f"{share} of the product's {all_} in that time; in the {BASELINE_DAYS} days before, "
            f"{usual}.",
            (share, all_, usual),
        )
    ]


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
    return [("trend", f"Complaints{whose} a day: {line} (until {until}).", (line, until))]


def _authors(m: Material) -> list[Draft]:
    if m.signal.authors <= 0:
        return []
    authors = figures.counted(m.signal.authors, "author")
    return [("authors", f"They come from {authors}.", (authors,))]


def _ratings(m: Material) -> list[Draft]:
    rated = [row["rating"] for row in m.complaints if row["rating"] is not None]
    if not rated:
        return []
    mean, low = figures.decimal(sum(rated) / len(rated)), sum(r <= 2 for r in rated)
    counted = figures.whole(len(rated))
    return [
        (
            "ratings",
            f"Mean rating {mean} over {counted} of them with stars; {figures.whole(low)} have at "
            "most 2 stars.",
            (mean, counted, figures.whole(low)),
        )
    ]


def _segment(m: Material) -> list[Draft]:
    drafts: list[Draft] = []
    if m.signal.segment:
        segment = plain(m.signal.segment)
        drafts.append(("segment", f"They concentrate in one segment: {segment}.", (segment,)))
    for column, noun in (("platform", "platform"), ("region", "region")):
        named = Counter(plain(str(r[column])) for r in m.complaints if r[column])
        if len(named) > 0 and sum(named.values()) >= 5:
            top = ", ".join(f"{name} {figures.whole(n)}" for name, n in _top(named, 3))
            drafts.append((column, f"By {noun}: {top}.", (top,)))
    return drafts


def _versions(m: Material) -> list[Draft]:
    complaints = Counter(plain(str(r["version"])) for r in m.complaints if r["version"])
    reviews = Counter(plain(str(r["version"])) for r in m.reviews if r["version"])
    if not complaints:
        return []
    parts = [
        f"{version}: {figures.whole(n)} of {figures.whole(reviews[version])} "
        f"({figures.percent(n / max(reviews[version], n))})"
        for version, n in _top(complaints, 3)
    ]
    line = ", ".join(parts)
    return [("versions", f"Complaints among all feedback of a version: {line}.", (line,))]


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
    line = ", ".join(f"{version}: {figures.whole(n)}" for version, n in _top(users, 3))
    moment = figures.minute(max(newest.values()))
    return [("exposure", f"Users by version, newest figure known ({moment}): {line}.", (line,))]


def _customers(m: Material) -> list[Draft]:
    drafts: list[Draft] = []
    tiers = Counter(plain(str(r["customer_tier"])) for r in m.complaints if r["customer_tier"])
    if tiers:
        line = ", ".join(f"{tier} {figures.whole(n)}" for tier, n in _top(tiers, 4))
        drafts.append(("tiers", f"By customer tier: {line}.", (line,)))
    values = [r["order_value"] for r in m.complaints if r["order_value"] is not None]
    if values:
        orders, worth = figures.counted(len(values), "order"), figures.whole(sum(values))
        drafts.append(
            ("orders", f"{orders} with a known value, worth {worth} together.", (orders, worth))
        )
    return drafts


def _urgent(m: Material) -> list[Draft]:
    urgent = [r for r in m.complaints if (r.get("urgency") or 0.0) >= URGENT]
    if not urgent:
        return []
    reasons = Counter(plain(str(w)) for r in urgent for w in r.get("urgency_reasons") or ())
    why = ", ".join(f"{reason} {figures.whole(n)}" for reason, n in _top(reasons, 3))
    count = figures.whole(len(urgent))
    of = figures.whole(len(m.complaints))
    return [
        (
            "urgent",
            f"{count} of {of} are urgent{': ' + why if why else ''}.",
            (count, of, why),
        )
    ]


def _severity(m: Material) -> list[Draft]:
    terms = sorted(m.signal.severity_terms, key=lambda t: (-t.points, t.name))
    points = figures.whole(sum(t.points for t in terms))
    spelled = [
        f"{plain(t.name)} {figures.whole(t.points)} of {figures.whole(t.weight)} "
        f"({plain(t.reason, limit=160)})"
        for t in terms
    ]
    rest = f" from {'; '.join(spelled)}" if spelled else ""
    severity = m.signal.severity.value
    return [("severity", f"Severity {severity}, {points} points{rest}.", (severity, points))]


def _evidence(m: Material) -> list[Draft]:
    s = m.signal
    evidence, threshold = figures.evidence(s.evidence), figures.decimal(s.threshold)
    detector, family = plain(s.detector), figures.whole(s.family_size)
    drafts: list[Draft] = [
        (
            "evidence",
            f"Detector {detector}: evidence {evidence}, threshold {threshold}, "
            f"{family} series tested together.",
            (detector, evidence, threshold, family),
        )
    ]
    if s.reviews_exposed is not None and s.reviews_unexposed is not None:
        on, against = figures.whole(s.reviews_exposed), figures.whole(s.reviews_unexposed)
        drafts.append(
            (
                "release_watch",
                f"{on} reviews of version {plain(s.version or '')}, compared with {against} others.",
                (on, against),
            )
        )
    if s.confidence is not None:
        confidence = figures.percent(s.confidence)
        mark = "calibrated" if s.confidence_calibrated else "not calibrated yet"
        drafts.append(("confidence", f"Confidence {confidence}, {mark}.", (confidence, mark)))
    return drafts


def _attribution(m: Material) -> list[Draft]:
    drafts: list[Draft] = []
    for a in m.attributions[:MAX_CANDIDATES]:
        posterior = figures.percent(a.posterior)
        if a.change_id is None:
            drafts.append(
                (
                    "none",
                    f"None of the known changes is behind it: {posterior} likely.",
                    (posterior,),
                )
            )
            continue
        name, kind = plain(a.name), plain(a.kind)
        effect = _effect(a)
        verdict = "blamed" if a.blamed else "not blamed"
        change = m.changes.get(a.change_id)
        began = f", began {figures.minute(change['started_at'])}" if change else ""
        drafts.append(
            (
                "blamed" if a.blamed else "candidate",
                f"{kind.capitalize()} {name}{began}: {posterior} likely{effect}; {verdict}.",
                (kind, name, posterior, effect.removeprefix("; ")),
            )
        )
    return drafts


def _effect(a: Attribution) -> str:
    if a.effect is None:
        return ""
    low = figures.decimal(a.effect_low) if a.effect_low is not None else "?"
    high = figures.decimal(a.effect_high) if a.effect_high is not None else "?"
    sides = ""
    if a.exposed is not None and a.unexposed is not None:
        sides = (
            f", {figures.whole(a.exposed)} reviews with it and {figures.whole(a.unexposed)} without"
        )
    return f"; odds ratio {figures.decimal(a.effect)} (95% interval {low} to {high}{sides})"


def _cause_time(m: Material) -> list[Draft]:
    blamed = next((a for a in m.attributions if a.blamed and a.change_id), None)
    change = m.changes.get(blamed.change_id or "") if blamed else None
    if blamed is None or change is None:
        return []
    started = change["started_at"]
    name, kind, moment = plain(blamed.name), plain(blamed.kind), figures.minute(started)
    raised = figures.span(abs(m.signal.detected_at - started))
    before = "before" if m.signal.detected_at < started else "after"
    return [
        (
            "cause_time",
            f"The signal was raised {figures.minute(m.signal.detected_at)}, {raised} {before} "
            f"{kind} {name} began ({moment}).",
            (raised, before, moment),
        )
    ]


def _past(m: Material) -> list[Draft]:
    drafts: list[Draft] = []
    for ticket in m.past_tickets:
        fixed = f", fixed in {plain(ticket.fixed_version)}" if ticket.fixed_version else ""
        opened = figures.day(ticket.opened_at)
        title, status = plain(ticket.title, limit=120), ticket.status.value.replace("_", " ")
        drafts.append(
            (
                "past",
                f"Similar ticket of {opened} ({status}{fixed}): {title}.",
                (opened, status, title),
            )
        )
    return drafts


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
    _severity,
    _evidence,
    _past,
)


def _top(counter: Counter[str], limit: int) -> list[tuple[str, int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:limit]


def _names(m: Material) -> tuple[str, ...]:
    names = [
        m.product_name,
        m.signal.product,
        m.label,
        subject_of(m),
        m.signal.category or "",
        m.signal.version or "",
        m.owner.owner,
        m.owner.contact or "",
        m.owner.tracker_project or "",
        m.owner.component or "",
        *(a.name for a in m.attributions[:MAX_CANDIDATES]),
        *(str(c["version"]) for c in m.changes.values() if c["version"]),
    ]
    return tuple(dict.fromkeys(plain(name) for name in names if name and name.strip()))
