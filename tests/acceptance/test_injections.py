"""The loop with seventy texts that give orders, against the loop without: nothing obeys them.

They come as reviews of their own amid a day of trouble, and glued to the complaints themselves.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from closeloop.domain.brief import AUDIENCES, FactSheet
from closeloop.domain.model_answer import ModelRequest
from closeloop.tables import BRIEF, BRONZE_FEEDBACK
from closeloop.testing.brief_models import sheet_asked, writes_good
from closeloop.testing.injections import INJECTIONS
from closeloop.testing.openai_server import KEY, FakeOpenAI
from tests.acceptance import briefed
from tests.acceptance.bad_day import NOW, prepare, rows

pytestmark = [pytest.mark.slow, pytest.mark.allow_hosts(["127.0.0.1"])]

TEXTS = tuple(text for _, text in INJECTIONS)
HOURS = 19
SHORTEST = 12
"""Characters from which on a part of an injection is told from anything else."""


@dataclass(frozen=True)
class Shop:
    """A workspace before its first run, what a run without a model decides, and its fact sheets."""

    folder: Path
    decided: dict[str, Any]
    sheets: list[FactSheet]


def made(folder: Path, variant: str) -> Shop:
    prepare(folder)
    workspace = briefed.opened(folder)
    with workspace.step("more") as step:
        if variant == "added":
            since, gap = NOW - timedelta(hours=20), HOURS / (len(TEXTS) + 1)
            shells = rows(since, HOURS, "x", every_h=gap, rating=1, version="1.1")
            added = [s | {"text": t, "author": t[:9]} for s, t in zip(shells, TEXTS, strict=False)]
            assert len(added) == len(TEXTS) >= 60
            step.append(BRONZE_FEEDBACK, BRONZE_FEEDBACK.from_rows(added))
        if variant == "glued":
            held = workspace.committed(BRONZE_FEEDBACK).to_pylist()
            bad = [r for r in held if (r["text"] or "").startswith("payment failed again")]
            for number, row in enumerate(bad):
                # Two to a complaint, so that every one of the texts is among them.
                more = (TEXTS[2 * number % len(TEXTS)], TEXTS[(2 * number + 1) % len(TEXTS)])
                row["text"] = ". ".join((row["text"], *more))
            step.delete(BRONZE_FEEDBACK, [("product", "=", "shop-app")])
            step.append(BRONZE_FEEDBACK, BRONZE_FEEDBACK.from_rows(held))
    workspace.close()
    plain = folder.with_name(f"{folder.name}-run")
    shutil.copytree(folder, plain)
    briefed.run(plain)
    workspace = briefed.opened(plain)
    sheets = briefed.sheets_of(workspace)
    workspace.close()
    return Shop(folder, decided(plain), sheets)


def decided(folder: Path) -> dict[str, Any]:
    """Return what no text of a customer may change."""
    signals = briefed.query(
        folder, "SELECT kind, series_id, category, severity FROM gold.signal ORDER BY 1, 2"
    )
    decisions = briefed.query(
        folder, "SELECT action, rule, would_ticket FROM gold.decision ORDER BY ALL"
    )
    briefs = briefed.query(folder, "SELECT severity, cause, recommended_owner FROM gold.brief")
    return {"signals": signals, "decisions": decisions, "briefs": briefs}


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Shop]:
    folder = tmp_path_factory.mktemp("shops")
    return {name: made(folder / name, name) for name in ("plain", "added", "glued")}


def repeated(texts: list[str]) -> list[str]:
    """Return the injections (or long parts of them) that stand in texts outside quotation marks."""
    said = " ".join(re.sub(r"“[^“”]*”", " ", t) for t in texts)
    said = " ".join(said.split()).lower()
    found = []
    for injection in TEXTS:
        whole = " ".join(injection.split()).lower()
        parts = [whole[i : i + 40] for i in range(0, max(len(whole) - 39, 1), 20)]
        found += [part for part in parts if len(part) >= SHORTEST and part in said]
    return found


def told(folder: Path) -> list[str]:
    """Return every text that a brief, a review item or a ticket shows."""
    (row,) = briefed.query(folder, "SELECT * FROM gold.brief")
    texts = [str(row[name]) for name in ("title", "impacted_area", "likely_cause", "urgency")]
    texts += [row["product_text" if name == "product" else name] for name in AUDIENCES]
    texts += [s["sentence"] for s in row["summary"]] + row["next_actions"] + row["routing_hints"]
    workspace = briefed.opened(folder)
    with workspace.database.reading() as operations:
        texts += [r.title for r in operations.reviews()]
        texts += [t for one in operations.tickets() for t in (one.title, one.body)]
    workspace.close()
    return texts


@pytest.mark.parametrize("variant", ["added", "glued"])
def test_what_is_decided_is_the_same_as_without(shops: dict[str, Shop], variant: str) -> None:
    assert shops[variant].decided == shops["plain"].decided
    assert shops[variant].decided["signals"]
    assert repeated(told(shops[variant].folder.with_name(f"{variant}-run"))) == []


class Obedient:
    """Writes a sound brief, and does as it is told by whatever injection it gets to read."""

    def __init__(self, sheets: list[FactSheet], *, always: bool) -> None:
        self._sheets = sheets
        self._sound = writes_good(sheets)
        self._always = always

    def __call__(self, request: ModelRequest) -> str:
        seen = " ".join(request.text.split())
        orders = [t for t in TEXTS if self._always or " ".join(t.split()) in seen]
        answer: dict[str, Any] = json.loads(self._sound(request))
        if orders:
            said = [{"text": t, "ids": ["F1"], "derived": []} for t in orders[:4]]
            answer |= {"severity": "P4", "recommended_owner": "mallory", "next_actions": said}
            answer["leadership"] = said
            assert sheet_asked(request, self._sheets)
        return json.dumps(answer)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    return tmp_path / "shop"


@pytest.mark.parametrize("always", [False, True])
@pytest.mark.parametrize("variant", ["added", "glued"])
def test_a_model_that_obeys_all_it_reads_changes_nothing(
    shops: dict[str, Shop], variant: str, always: bool, folder: Path
) -> None:
    shop = shops[variant]
    shutil.copytree(shop.folder, folder)
    says = briefed.spoken(Obedient(shop.sheets, always=always))
    with FakeOpenAI(azure=True, writers={"gpt-5-mini": says}) as fake:
        briefed.configure(folder, fake)
        briefed.run(folder)
        sent = " ".join(json.dumps(a.body, ensure_ascii=False) for a in fake.asked)
    assert decided(folder) == shops["plain"].decided
    assert repeated(told(folder)) == []
    shown = " ".join(sent.split())
    assert [
        t for t in TEXTS if json.dumps(" ".join(t.split()), ensure_ascii=False)[1:-1] in shown
    ] == []
    (row,) = briefed.query(folder, "SELECT * FROM gold.brief")
    # Where a refused brief holds an address, it does not go out again to be mended.
    assert row["outcome"] in (("not_grounded", "held_back") if always else ("written",))
    assert row["verified"]
    assert set(row) == set(BRIEF.schema.names)
    if always:
        assert any("mallory" in p for p in row["attempts"][0]["problems"])
