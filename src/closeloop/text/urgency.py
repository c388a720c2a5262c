"""What is lost if nobody acts today: rules for money, fraud, lock-out, law, deadlines, safety."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True, slots=True)
class UrgencyRule:
    """One reason: an RE2 pattern over lower-case text, and how much it alone gives (0..1)."""

    name: str
    pattern: str
    weight: float


RULES = (
    UrgencyRule(
        "money missing",
        r"\b(money|amount|rs|rupees|paisa|paise|balance|funds|payment|refund|argent)\b.{0,40}"
        r"\b(debited|deducted|lost|gone|missing|stuck|stolen|kat|not (received|credited|refunded|"
        r"returned|come|came)|disappeared|vanished|never (came|arrived|credited))\b"
        r"|\b(debited|deducted|charged twice|double charged|charged me twice)\b"
        r"|\b(lost|stole|took|taken|eat|ate) (all )?(my|our) (money|savings|salary|amount)\b"
        r"|\b(give|return|refund|want) (me )?(back )?(my|our) money\b",
        0.7,
    ),
    UrgencyRule(
        "fraud or security",
        r"\b(fraud\w*|scam\w*|hack(ed|ers?|ing)|phishing|unauthori[sz]ed|stolen|identity theft|"
        r"data (breach|leak\w*)|leaked|someone (else )?(used|accessed|has))\b",
        0.7,
    ),
    UrgencyRule(
        "locked out",
        r"\b(locked out|account (is |was |has been |got |been )?(blocked|locked|frozen|suspended|"
        r"closed|disabled|deactivated|freeze[d]?)|(blocked|locked|froze|freezed|suspended|closed) "
        r"my account|(cant|can't|cannot|can not|unable to|not able to) (even )?(log ?in|sign ?in|"
        r"access|open my account))\b",
        0.6,
    ),
    UrgencyRule(
        "legal threat",
        r"\b(lawyer|attorney|legal (action|notice)|court|sue|lawsuit|consumer (court|forum)|police|"
        r"cyber ?(cell|crime)|ombudsman|rbi|regulator|avocat|tribunal|plainte)\b"
        # "fir" alone is romanised Hindi for "then".
        r"|\b(an|file|filed|filing|lodge|lodged|the) fir\b|\bfir (against|number|has been|filed|lodged)\b",
        0.6,
    ),
    UrgencyRule(
        "stated deadline",
        r"\b(urgent(ly)?|asap|emergency|immediately|by (today|tomorrow|monday|tuesday|wednesday|"
        r"thursday|friday)|due (today|tomorrow)|last date|deadline|right now|stranded)\b",
        0.4,
    ),
    UrgencyRule(
        "safety",
        r"\b(injured|injuries|(an|my|serious|severe|bodily|head|hand|eye) injury|"
        r"burn(ed|t|s|ing)? (me|(my |the |his |her )?(skin|fingers?|hands?|arms?|legs?|face|mouth|child|"
        r"son|daughter))|caught fire|on fire|explod(ed|es|ing)|electric shock|hospital|ambulance|"
        r"allergic|poison\w*|suicid\w*|kill (myself|me)|(is|was|started|kept|still) bleeding|insulin|"
        r"overdose|choking)\b",
        0.9,
    ),
)
VERSION = "rules-2"
LIKE_URGENT = "like urgent texts"
LIKE_URGENT_WEIGHT = 0.6
"""As much as being locked out: of 60 such complaints that were read .77 were urgent (benchmarks/urgency.py)."""


def urgency_of(
    texts: pa.Array | pa.ChunkedArray,
    negative: npt.NDArray[np.float64],
    *,
    like_urgent: npt.NDArray[np.bool_] | None = None,
) -> tuple[npt.NDArray[np.float64], pa.Array]:
    """Return (urgency 0..1 a text, the names of the rules that fired a text as a list array).

    urgency = (1 - product of (1 - weight) over the rules that fired) x P(negative): a solved case
    names the same things, so the text's tone counts. `like_urgent` marks texts that a head found;
    it counts, as LIKE_URGENT, where no rule fired. Uncalibrated.
    """
    lowered = pc.utf8_lower(pc.fill_null(texts, ""))
    fired = np.stack(
        [np.asarray(pc.match_substring_regex(lowered, rule.pattern)) for rule in RULES], axis=1
    )
    found = np.zeros(len(fired), np.bool_) if like_urgent is None else like_urgent
    fired = np.column_stack([fired, found & ~fired.any(axis=1)])
    weights = np.array([*(rule.weight for rule in RULES), LIKE_URGENT_WEIGHT])
    calm = np.prod(np.where(fired, 1.0 - weights, 1.0), axis=1)
    _, which = np.nonzero(fired)
    offsets = np.concatenate([[0], np.cumsum(fired.sum(axis=1))]).astype(np.int32)
    names = pa.array([*(rule.name for rule in RULES), LIKE_URGENT]).take(pa.array(which))
    return (1.0 - calm) * negative, pa.ListArray.from_arrays(pa.array(offsets), names)
