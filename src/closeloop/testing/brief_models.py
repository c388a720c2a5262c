"""What a scripted language model answers when it is asked for a brief: good ones, and forged ones."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from closeloop.domain.brief import AUDIENCES, Brief, FactSheet
from closeloop.domain.grounding.sheet_view import plain_tokens
from closeloop.domain.model_answer import ModelRequest
from closeloop.models.brief_prompt import as_answer
from closeloop.testing.brief_forgeries import forge
from closeloop.testing.good_briefs import GoodBriefs


def as_json_answer(brief: Brief, sheet: FactSheet) -> str:
    """Return a brief as the JSON that a model would answer."""
    return json.dumps(as_answer(brief, sheet), ensure_ascii=False)


def writes_good(sheets: Sequence[FactSheet], *, seed: int = 0) -> Callable[[ModelRequest], str]:
    """Return a model that writes a supported brief of the sheet it is asked about.

    It knows the sheets beforehand and finds the one that a request is about by its first fact; of
    the quotations it uses those that were sent.
    """

    def say(request: ModelRequest) -> str:
        sheet = sheet_asked(request, sheets)
        rng = Random(f"{seed}{sheet.signal_id}")  # noqa: S311
        return as_json_answer(GoodBriefs(sheet, rng).write(), sheet)

    return say


def writes_forged(
    sheets: Sequence[FactSheet], *, seed: int = 0, mends: bool = True
) -> Callable[[ModelRequest], str]:
    """Return a model that forges its first answer, and mends it when asked to (or forges again)."""

    def say(request: ModelRequest) -> str:
        sheet = sheet_asked(request, sheets)
        rng = Random(f"{seed}{sheet.signal_id}{request.purpose}")  # noqa: S311
        good = GoodBriefs(sheet, rng).write()
        if request.purpose == "repair" and mends:
            return as_json_answer(good, sheet)
        others = [s for s in sheets if s.signal_id != sheet.signal_id]
        _, bad = forge(good, rng.choice(others), rng)
        return as_json_answer(bad, sheet)

    return say


def obeys(
    sheets: Sequence[FactSheet], orders: Sequence[str], *, always: bool
) -> Callable[[ModelRequest], str]:
    """Return a model that writes sound briefs, and does as it is told by what orders it reads.

    With `always` it does as all of them say, read or not.
    """
    sound = writes_good(sheets)

    def say(request: ModelRequest) -> str:
        seen = " ".join(request.text.split())
        told = [order for order in orders if always or " ".join(order.split()) in seen]
        answer: dict[str, Any] = json.loads(sound(request))
        if told:
            said = [{"text": order, "ids": ["F1"], "derived": []} for order in told[:4]]
            answer |= {"severity": "P4", "recommended_owner": "mallory", "next_actions": said}
            answer["leadership"] = said
        return json.dumps(answer)

    return say


def texts_of(row: Mapping[str, Any]) -> list[str]:
    """Return every text of a brief, from its row in gold.brief."""
    texts = [str(row[name]) for name in ("title", "impacted_area", "likely_cause", "urgency")]
    texts += [row["product_text" if name == "product" else name] for name in AUDIENCES]
    texts += [s["sentence"] for s in row["summary"]]
    texts += row["next_actions"] + row["routing_hints"]
    return texts


def sheet_asked(request: ModelRequest, sheets: Sequence[FactSheet]) -> FactSheet:
    """Return the sheet that a request is about, with the quotations that were sent.

    Raises LookupError where it is about none of them.
    """
    sent = re.findall(r"^\[Q\d+ (\w+)\] (.*) \[/Q\d+ \1\]$", request.text, re.MULTILINE)
    for sheet in sheets:
        if all(f"{f.fact_id} {f.statement}\n" in request.text for f in sheet.facts):
            texts = [text for _, text in sent]
            kept = tuple(
                replace(q, text=plain_tokens(q.text))
                for q in sheet.quotations
                if " ".join(plain_tokens(q.text).split()) in texts
            )
            return replace(sheet, quotations=kept)
    raise LookupError("the request is about none of the sheets")
