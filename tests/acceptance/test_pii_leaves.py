"""No marked personal data leaves beyond what the masker's figures state: the whole file, as sent.

Every text of the marked set goes the way of a review: masked when it is taken in, quoted on a fact
sheet, masked again at the door, and into a request over a real socket, by each of the three things
that are asked of a model. What arrives there is searched for every marked value.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from closeloop.models.model_judge import ModelJudge
from closeloop.models.model_namer import ModelNamer
from closeloop.models.model_writer import ModelWriter
from closeloop.models.outgoing import Door
from closeloop.models.remote_writer import RemoteWriter, remote_language_model
from closeloop.ports import ThemeTexts
from closeloop.testing.brief_sheets import frozen_sheets
from closeloop.testing.context import TEST_KEY
from closeloop.testing.openai_server import KEY, FakeOpenAI
from closeloop.text.pii import Masker
from tests.unit.models.briefing import quoting, request

pytestmark = [pytest.mark.slow, pytest.mark.realdata, pytest.mark.allow_hosts(["127.0.0.1"])]

DATA = Path(
    os.environ.get("CLOSELOOP_DATA")
    or Path(__file__).resolve().parents[2].parent / "shared" / "data"
)
MAY_LEAVE = {
    "CREDIT_CARD": 0.0,
    "EMAIL_ADDRESS": 0.0,
    "IBAN_CODE": 0.0,
    "US_SSN": 0.0,
    "IP_ADDRESS": 0.0,
    "PHONE_NUMBER": 0.02,
}
"""Shares of marked values that docs/refine.md says the masker does not cover."""
SHORTEST = 4
"""Characters of the shortest value looked for: two letters stand in any text."""


@dataclass(frozen=True)
class Marked:
    """A text as it is stored, masked, and the values that are marked in it."""

    text: str
    values: tuple[tuple[str, str], ...]


@pytest.fixture(scope="module")
def marked() -> list[Marked]:
    path = DATA / "presidio_pii_dev.parquet"
    if not path.is_file():
        pytest.skip(f"{path.name} is not at hand (../shared/data, or set CLOSELOOP_DATA)")
    rows = pq.read_table(path).to_pylist()
    texts = pa.array([row["text"] for row in rows], pa.string())
    stored = Masker.of(key=TEST_KEY).mask_all(texts).texts.to_pylist()
    return [
        Marked(
            text,
            tuple((s["entity_type"], s["entity_value"]) for s in json.loads(row["spans_json"])),
        )
        for row, text in zip(rows, stored, strict=True)
        if text is not None
    ]


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(azure=True) as service:
        yield service


def ask_all(fake: FakeOpenAI, texts: Sequence[str]) -> list[str]:
    """Have briefs, pairs and names made of the texts; return what each six of them led to be sent."""
    remote = RemoteWriter(endpoint=fake.endpoint, deployment="gpt-5-mini", api_key=lambda: KEY)
    model = remote_language_model(remote, azure=True)
    door = Door(Masker.of(key=TEST_KEY))
    sheet = frozen_sheets()[0]
    size = len(sheet.quotations)
    sent = []
    for start in range(0, len(texts), size):
        some = texts[start : start + size]
        before = len(fake.asked)
        ModelWriter(model, door).write(request(quoting(sheet, *some)))
        ModelJudge(model, door).judge(list(zip(some[::2], some[1::2], strict=False)))
        ModelNamer(model, door).names([ThemeTexts("shop", tuple(some))])
        bodies = [one.body or {} for one in fake.asked[before:]]
        sent.append("\n".join(str(body["input"]) for body in bodies))
    return sent


def test_what_is_sent_holds_no_marked_value_beyond_the_stated_share(
    marked: list[Marked], fake: FakeOpenAI
) -> None:
    size = len(frozen_sheets()[0].quotations)
    sent = ask_all(fake, [one.text for one in marked])
    assert len(fake.asked) > 2 * len(sent)
    seen: Counter[str] = Counter()
    left: defaultdict[str, list[str]] = defaultdict(list)
    for number, one in enumerate(marked):
        for kind, value in one.values:
            if len(value) < SHORTEST:
                continue
            seen[kind] += 1
            if value in sent[number // size]:
                left[kind].append(value)
    told = {kind: (len(left[kind]), count) for kind, count in seen.items()}
    for kind, share in MAY_LEAVE.items():
        gone, of = told[kind]
        assert of > 10, told
        assert gone <= share * of, (kind, left[kind][:5])
    print(f"values of {len(marked):,} texts found in what was sent: {told}")


def test_nothing_that_the_masker_finds_in_what_is_sent_was_sent(
    marked: list[Marked], fake: FakeOpenAI
) -> None:
    sent = ask_all(fake, [one.text for one in marked[:600]])
    lines = [line for text in sent for line in text.splitlines() if line.startswith("[")]
    assert len(lines) > 600
    # The marks of a request hold a code; what stands between them is the customer's.
    inside = [line.split("] ", 1)[1].rsplit(" [", 1)[0] for line in lines]
    again = Masker.of(key=TEST_KEY).mask_all(pa.array(inside, pa.string())).texts.to_pylist()
    assert again == inside
