"""Who speaks in a product's feedback: campaigns, insistent authors, authors never seen before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.stats.baseline import Floats, Ints
from closeloop.stats.evidence import beta_binomial_tail
from closeloop.stats.voices import FREE_COPIES, FREE_TEXTS, voice_weights

COLUMNS = ("feedback_id", "campaign_id", "author_key")
USUAL_DAYS = 90
SAID_SHARE = 0.25
"""From this part of a signal's texts on a campaign or insistent authors are named."""
NEW_P = 0.001
NEW_STRENGTH = 50.0
"""How far the share of first-time authors may drift by itself: that of a beta of so many authors."""


@dataclass(frozen=True, slots=True)
class Voices:
    """Of rows in order of time: hours, campaign and author as numbers (-1: none or unknown)."""

    hours: Ints
    campaign: Ints
    author: Ints
    first_time: npt.NDArray[np.bool_]

    @property
    def weight(self) -> Floats:
        """The weight of each row as a voice of its own, 0..1."""
        copies = voice_weights(self.hours, self.campaign, free=FREE_COPIES)
        return np.minimum(copies, voice_weights(self.hours, self.author, free=FREE_TEXTS))


def voices_of(rows: pa.Table, hours: Ints) -> Voices:
    """Return the voices of rows of silver.feedback; the text that others repeat is one of them."""
    ids, campaign = rows.column("feedback_id"), rows.column("campaign_id")
    named = pc.unique(pc.drop_null(campaign).combine_chunks())
    own = pc.if_else(pc.is_in(ids, value_set=named), ids, None)
    author = _numbered(rows.column("author_key"))
    first_time = np.zeros(len(hours), dtype=np.bool_)
    known = np.flatnonzero(author >= 0)
    first_time[known[np.unique(author[known], return_index=True)[1]]] = True
    return Voices(hours, _numbered(pc.coalesce(campaign, own)), author, first_time)


def oddities(voices: Voices, inside: Ints) -> list[str]:
    """Say what is odd about who speaks in some rows: campaigns, insistent and first-time authors."""
    size = len(inside)
    if size == 0:
        return []
    said = []
    copies = _in_groups(voices.campaign[inside], more_than=FREE_COPIES)
    if copies >= SAID_SHARE * size:
        said.append(f"{copies} of {size} texts are nearly the same as others (a campaign)")
    repeated = _in_groups(voices.author[inside], more_than=FREE_TEXTS)
    if repeated >= SAID_SHARE * size:
        said.append(f"{repeated} of {size} texts come from authors of three and more")
    new = _first_timers(voices, inside)
    return said if new is None else [*said, new]


def _first_timers(voices: Voices, inside: Ints) -> str | None:
    known = inside[voices.author[inside] >= 0]
    start = int(voices.hours[inside[0]])
    usual = np.flatnonzero(
        (voices.author >= 0) & (voices.hours < start) & (voices.hours >= start - USUAL_DAYS * 24)
    )
    # In the first weeks of a history everybody is new.
    begun = len(usual) and int(voices.hours[usual[-1]] - voices.hours[0]) >= USUAL_DAYS * 24
    if not begun or len(known) == 0:
        return None
    new, share = int(voices.first_time[known].sum()), float(voices.first_time[usual].mean())
    a, b = NEW_STRENGTH * share + 0.5, NEW_STRENGTH * (1 - share) + 0.5
    if beta_binomial_tail(new, len(known), a, b) >= NEW_P:
        return None
    return f"{new} of {len(known)} authors have never written before ({share:.0%} usual)"


def _in_groups(group: Ints, *, more_than: int) -> int:
    named = group[group >= 0]
    if len(named) == 0:
        return 0
    sizes = np.bincount(np.unique(named, return_inverse=True)[1])
    return int(sizes[sizes > more_than].sum())


def _numbered(column: pa.ChunkedArray | Sequence[str]) -> Ints:
    encoded = pc.dictionary_encode(pa.chunked_array(column).combine_chunks())
    return np.asarray(pc.fill_null(encoded.indices, -1).to_numpy(), dtype=np.int64)
