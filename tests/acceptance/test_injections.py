"""The loop with seventy texts that give orders, against the loop without: nothing obeys them.

They come as reviews of their own amid a day of trouble, and glued to the complaints themselves.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from closeloop.domain.brief import FactSheet
from closeloop.domain.model_answer import ModelRequest
from closeloop.tables import BRIEF, BRONZE_FEEDBACK
from closeloop.testing.brief_models import obeys, sheet_asked, texts_of
from closeloop.testing.injections import TEXTS, repeated, sent
from closeloop.testing.openai_server import KEY, FakeOpenAI
from closeloop.testing.openai_writing import spoken
from tests.acceptance import briefed
from tests.acceptance.bad_day import NOW, prepare, rows

pytestmark = [pytest.mark.slow, pytest.mark.allow_hosts(["127.0.0.1"])]

HOURS = 19


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


def told(folder: Path) -> list[str]:
    """Return every text that a brief, a review item or a ticket shows."""
    (row,) = briefed.query(folder, "SELECT * FROM gold.brief")
    texts = texts_of(row)
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
    obedient = obeys(shop.sheets, TEXTS, always=always)

    def says(request: ModelRequest) -> str:
        assert sheet_asked(request, shop.sheets)
        return obedient(request)

    with FakeOpenAI(azure=True, writers={"gpt-5-mini": spoken(says)}) as fake:
        briefed.configure(folder, fake)
        briefed.run(folder)
        reached = sent(asked.body for asked in fake.asked)
    assert decided(folder) == shops["plain"].decided
    assert repeated(told(folder)) == []
    assert reached == []
    (row,) = briefed.query(folder, "SELECT * FROM gold.brief")
    # Where a refused brief holds an address, it does not go out again to be mended.
    assert row["outcome"] in (("not_grounded", "held_back") if always else ("written",))
    assert row["verified"]
    assert set(row) == set(BRIEF.schema.names)
    if always:
        assert any("mallory" in p for p in row["attempts"][0]["problems"])
