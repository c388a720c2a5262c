"""The default taxonomy files what customers write where a person would, with the shipped model."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from closeloop import settings
from closeloop.errors import ModelMissingError
from closeloop.models import weights
from closeloop.models.wiring import make_embedder
from closeloop.stages import embed, enrich
from closeloop.tables import ENRICHMENT, FEEDBACK
from closeloop.testing.configuration import example_configuration
from closeloop.testing.context import InMemoryContext

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
EXPECTED = {
    "my transfer failed but 500 was taken from the bank": "payment failure",
    "UPI server down again, payment not going through": "payment failure",
    "cannot sign in since yesterday, code is not coming": "account access",
    "they blocked my account without telling me why": "account access",
    "new look is ugly and I cannot find the menu": "broken UI",
    "the redesign made everything harder to find": "broken UI",
    "crashes whenever I tap the camera": "performance",
    "extremely laggy and hangs at the loading screen": "performance",
    "parcel was due last week, still nothing": "shipping delay",
    "card ordered three weeks ago and not delivered": "shipping delay",
    "subscription fee was charged twice": "billing",
    "someone hacked me and stole my savings": "security and fraud",
    "nobody from the support team answers my mails": "customer service",
    "won't pair with my headphones any more": "connection and sync",
    "please add a landscape mode for tablets": "feature request",
    "wonderful app, makes life so easy": "praise",
}


@pytest.fixture(scope="module")
def filed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    try:
        weights.package_folder()
    except ModelMissingError:
        pytest.skip("the weights of all-MiniLM-L6-v2 are not installed")
    folder: Path = tmp_path_factory.mktemp("workspace")
    config = replace(example_configuration(), taxonomy=settings.load(folder).configuration.taxonomy)
    embedder = make_embedder(kind="minilm", folder=None, threads=1, cache_folder=folder / "cache")
    context = InMemoryContext(config=config, now=NOON, embedder=embedder)
    texts = [*EXPECTED, "xyzzy plugh 12 qwop", "nice app", "worst app ever"]
    rows = [
        {
            "feedback_id": f"f{i:03d}",
            "revision": 1,
            "product": "wallet",
            "event_time": NOON,
            "text": text,
            "masker": "1",
        }
        for i, text in enumerate(texts)
    ]
    context.append(FEEDBACK, FEEDBACK.from_rows(rows))
    embed.run(context.as_step(embed.NAME))
    enrich.run(context.as_step(enrich.NAME))
    found = sorted(context.rows(ENRICHMENT).to_pylist(), key=lambda r: str(r["feedback_id"]))
    return dict(zip(texts, found, strict=True))


@pytest.mark.model
def test_plain_complaints_are_filed_as_a_person_would(
    filed: dict[str, dict[str, object]],
) -> None:
    wrong = {t: filed[t]["category"] for t, c in EXPECTED.items() if filed[t]["category"] != c}
    assert len(wrong) <= 1, wrong


@pytest.mark.model
def test_what_says_nothing_is_no_complaint(filed: dict[str, dict[str, object]]) -> None:
    assert filed["nice app"]["content_free"]
    assert filed["worst app ever"]["content_free"]
    assert filed["xyzzy plugh 12 qwop"]["category"] == "unknown"
