"""Texts become vectors within the service's limits; every fault ends in a named error or a cure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from closeloop.errors import SettingsError, TerminalError, TransientError
from closeloop.models.openai_auth import KeyAuth, TokenAuth
from closeloop.models.openai_embedder import BLANK, cut
from closeloop.models.openai_service import MAX_ATTEMPTS, service_url
from closeloop.models.rate_limit import Pace
from closeloop.models.vector_cache import CachedEmbedder
from closeloop.testing.embedders import HashedWordEmbedder
from closeloop.testing.openai_server import (
    KEY,
    Asked,
    FakeOpenAI,
    Reply,
    filtered,
    refusal,
    too_many,
)
from closeloop.testing.progress import SilentProgress
from tests.unit.models.remote import MODEL, Time, embedder_over, service_at

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

TEXTS = ["late parcel", "payment failed", "app crashes"]


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(azure=True) as service:
        yield service


@pytest.fixture
def time() -> Time:
    return Time()


def body(asked: Asked) -> dict[str, object]:
    assert asked.body is not None
    return asked.body


def test_texts_become_the_models_vectors(fake: FakeOpenAI, time: Time) -> None:
    progress = SilentProgress()
    vectors = embedder_over(service_at(fake, time)).embed(TEXTS, progress=progress)
    assert np.allclose(vectors, HashedWordEmbedder(dimensions=64).embed(TEXTS), atol=1e-6)
    (asked,) = fake.asked
    assert asked.path == "/openai/v1/embeddings"
    assert asked.headers["api-key"] == KEY
    assert (body(asked)["model"], body(asked)["dimensions"]) == (MODEL, 64)
    assert time.waits == []


def test_a_server_that_sends_lists_of_any_length_is_understood(time: Time) -> None:
    auth = KeyAuth(lambda: KEY, header="authorization", prefix="Bearer ")
    with FakeOpenAI(base64_vectors=False) as fake:
        vectors = embedder_over(service_at(fake, time, auth=auth)).embed(TEXTS)
    assert np.allclose(vectors, HashedWordEmbedder(dimensions=64).embed(TEXTS), atol=1e-6)
    assert fake.asked[0].path == "/v1/embeddings"


def test_answers_out_of_order_are_put_in_order(fake: FakeOpenAI, time: Time) -> None:
    def backwards(asked: Asked) -> Reply:
        answer = json.loads(fake.works(asked).body)
        answer["data"].reverse()
        return Reply.of_json(answer)

    fake.then(backwards)
    vectors = embedder_over(service_at(fake, time)).embed(TEXTS)
    assert np.allclose(vectors, HashedWordEmbedder(dimensions=64).embed(TEXTS), atol=1e-6)


def test_requests_stay_within_the_services_limits(fake: FakeOpenAI, time: Time) -> None:
    model = embedder_over(service_at(fake, time), dimensions=8)
    many = [f"text {n}" for n in range(2_100)]
    long = ["wörter " * 2_000] * 40
    vectors = model.embed([*many, *long])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert len(fake.asked) == 3
    for asked in fake.asked:
        inputs = body(asked)["input"]
        assert isinstance(inputs, list)
        assert len(inputs) <= 2_048
        assert max(len(t.encode()) for t in inputs) <= 8_191
        assert sum(len(t.encode()) for t in inputs) <= 300_000


def test_blank_texts_and_nul_are_sent_as_something_the_service_takes(
    fake: FakeOpenAI, time: Time
) -> None:
    embedder_over(service_at(fake, time)).embed(["", " \n", "a\0b", "\ud800 x"])
    assert body(fake.asked[0])["input"] == [BLANK, BLANK, "a b", "? x"]


def test_a_cut_keeps_whole_characters() -> None:
    assert cut("ééé", 3) == "é"
    assert cut("ééé", 6) == "ééé"
    assert cut("abc", 2) == "ab"


@pytest.mark.parametrize(
    ("reply", "waits"),
    [
        (too_many(after="7"), [7.0]),
        (too_many(after=None, retry_after_ms="1500"), [1.5]),
        (
            too_many(after=None, x_ratelimit_remaining_tokens="0", x_ratelimit_reset_tokens="1m1s"),
            [61.0],
        ),
    ],
)
def test_it_waits_as_long_as_it_is_asked_to(
    fake: FakeOpenAI, time: Time, reply: Reply, waits: list[float]
) -> None:
    progress = SilentProgress()
    fake.then(reply)
    embedder_over(service_at(fake, time)).embed(TEXTS, progress=progress)
    assert time.waits == waits
    assert len(fake.asked) == 2
    assert [f"waiting {w:.0f} s" in n for w, n in zip(waits, progress.notes, strict=False)] == [
        True
    ] * (waits[0] >= 5)


@pytest.mark.parametrize(
    "reply",
    [too_many(after=None), refusal(500, "500", "oops"), refusal(503, "", ""), Reply(drop=True)],
)
def test_what_may_pass_is_tried_again_and_then_given_up(
    fake: FakeOpenAI, time: Time, reply: Reply
) -> None:
    model = embedder_over(service_at(fake, time))
    fake.then(reply, reply)
    assert model.embed(TEXTS).shape == (3, 64)
    assert 0.5 <= time.waits[0] <= 1 <= time.waits[1] <= 2
    fake.then(*[reply] * MAX_ATTEMPTS)
    with pytest.raises(TransientError, match=f"gave up after {MAX_ATTEMPTS} attempts") as caught:
        model.embed(TEXTS)
    assert "127.0.0.1" in caught.value.message
    assert "kept" in caught.value.hint


def test_all_waits_together_are_bounded(fake: FakeOpenAI, time: Time) -> None:
    fake.then(too_many(after="200"), too_many(after="200"))
    with pytest.raises(TransientError, match="asks for 200 s more"):
        embedder_over(service_at(fake, time)).embed(TEXTS)
    assert time.waits == [200]
    fake.then(too_many(after="86400"))
    with pytest.raises(TransientError, match="86400"):
        embedder_over(service_at(fake, time)).embed(TEXTS)
    assert time.waits == [200]


def test_a_service_that_hangs_is_a_time_out(fake: FakeOpenAI, time: Time) -> None:
    fake.then(*[Reply(hang=True)] * MAX_ATTEMPTS)
    with pytest.raises(TransientError, match=r"time-out after 0\.05 s"):
        embedder_over(service_at(fake, time, timeout_s=0.05)).embed(TEXTS)


def test_nobody_listening_is_a_network_error(time: Time) -> None:
    with FakeOpenAI(azure=True) as gone:
        service = service_at(gone, time)
    with pytest.raises(TransientError, match="no answer"):
        embedder_over(service).embed(TEXTS)


def test_limits_a_minute_are_kept(fake: FakeOpenAI, time: Time) -> None:
    pace = Pace(requests_per_minute=30, tokens_per_minute=None)
    model = embedder_over(
        service_at(fake, time, pace=pace), max_text_bytes=64, max_request_tokens=64
    )
    model.embed([f"{n} " + "x" * 50 for n in range(4)])
    assert len(fake.asked) == 4
    assert time.now == pytest.approx(106)


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (refusal(401, "401", f"Incorrect API key provided: {KEY}."), "refused the key"),
        (refusal(403, "403", f"no role for {KEY}"), "refused the key"),
        (refusal(404, "DeploymentNotFound", "no such deployment"), "knows no 'text-embedding"),
        (refusal(429, "insufficient_quota", "You exceeded your quota"), "quota is used up"),
        (refusal(400, "invalid_request", f"dimensions? key {KEY}"), "dimensions?"),
        (Reply(200, b"<html>log in</html>"), "no JSON object"),
        (Reply(200, b'["list"]'), "no JSON object"),
        (Reply(200, b'{"data": [{"index'), "no JSON object"),
        (Reply.of_json({"data": []}), "0 vectors for 3 texts"),
        (Reply.of_json({"object": "list"}), "0 vectors for 3 texts"),
        (Reply.of_json({"data": [{"index": 0, "embedding": [1.0] * 64}] * 3}), "numbers its"),
        (Reply.of_json({"data": [{"index": n, "embedding": [1.0]} for n in range(3)]}), "of 1 num"),
        (Reply.of_json({"data": [{"index": n, "embedding": "%"} for n in range(3)]}), "neither"),
        (Reply.of_json({"data": [{"index": n, "embedding": ["a"]} for n in range(3)]}), "neither"),
        (Reply.of_json({"data": [None, 3, "x"]}), "neither"),
        (
            Reply.of_json({"data": [{"index": n, "embedding": [0.0] * 64} for n in range(3)]}),
            "without length",
        ),
        (Reply(302, b"", {"location": "http://127.0.0.1:9/"}), "302"),
    ],
)
def test_what_will_not_pass_ends_at_once_and_shows_no_key(
    fake: FakeOpenAI, time: Time, reply: Reply, told: str
) -> None:
    fake.then(reply)
    with pytest.raises(TerminalError) as caught:
        embedder_over(service_at(fake, time)).embed(TEXTS)
    assert told in caught.value.message
    assert "127.0.0.1" in caught.value.message
    assert caught.value.hint
    assert KEY not in str(caught.value)
    assert len(fake.asked) == 1


def test_a_wrong_key_and_deployment_are_told_apart_by_the_service_itself(
    fake: FakeOpenAI, time: Time
) -> None:
    wrong = embedder_over(service_at(fake, time, auth=KeyAuth(lambda: "another", header="api-key")))
    with pytest.raises(TerminalError, match="401"):
        wrong.embed(TEXTS)
    with (
        FakeOpenAI(azure=True, models={"other": 8}) as other,
        pytest.raises(TerminalError, match="DeploymentNotFound"),
    ):
        embedder_over(service_at(other, time)).embed(TEXTS)


def test_an_expired_token_is_renewed_once(fake: FakeOpenAI, time: Time) -> None:
    fake.keys = {"token-2"}
    made: list[int] = []

    def credential() -> SimpleNamespace:
        made.append(len(made) + 1)
        token = SimpleNamespace(token=f"token-{len(made)}", expires_on=10_000.0)
        return SimpleNamespace(get_token=lambda scope: token)

    auth = TokenAuth(credential, now=lambda: 0.0)
    embedder_over(service_at(fake, time, auth=auth)).embed(TEXTS)
    assert [a.headers["authorization"] for a in fake.asked] == ["Bearer token-1", "Bearer token-2"]
    fake.keys = set()
    with pytest.raises(TerminalError, match="refused the key or token") as caught:
        embedder_over(service_at(fake, time, auth=auth)).embed(TEXTS)
    assert "token-" not in str(caught.value)
    assert len(fake.asked) == 4


def test_a_token_is_asked_for_again_before_it_expires() -> None:
    clock = [0.0]
    asked: list[str] = []

    def get_token(scope: str) -> SimpleNamespace:
        asked.append(scope)
        return SimpleNamespace(token=f"t{len(asked)}", expires_on=clock[0] + 3_600)

    auth = TokenAuth(lambda: SimpleNamespace(get_token=get_token), scope="s", now=lambda: clock[0])
    assert auth.headers() == auth.headers() == {"authorization": "Bearer t1"}
    clock[0] = 3_400.0
    assert auth.headers() == {"authorization": "Bearer t2"}
    assert asked == ["s", "s"]


def test_a_filtered_text_stops_no_other(fake: FakeOpenAI, time: Time) -> None:
    progress = SilentProgress()
    texts = ["late", "FORBIDDEN words", "payment", "app", "parcel"]
    vectors = embedder_over(service_at(fake, time)).embed(texts, progress=progress)
    expected = HashedWordEmbedder(dimensions=64).embed(["late", BLANK, "payment", "app", "parcel"])
    assert np.allclose(vectors, expected, atol=1e-6)
    (note,) = progress.notes
    assert "content filter" in note
    assert "FORBIDDEN" not in note


def test_a_filter_that_refuses_everything_is_an_error(fake: FakeOpenAI, time: Time) -> None:
    fake.then(*[filtered()] * 4)
    with pytest.raises(TerminalError, match="refuses every text"):
        embedder_over(service_at(fake, time)).embed(["late"])


def test_a_server_with_smaller_limits_gets_shorter_texts(fake: FakeOpenAI, time: Time) -> None:
    def small(asked: Asked) -> Reply:
        inputs = body(asked)["input"]
        assert isinstance(inputs, list)
        if any(len(text) > 1_000 for text in inputs):
            return Reply.of_json({"error": "input is too large"}, status=413)
        return fake.works(asked)

    fake.then(*[small] * 12)
    vectors = embedder_over(service_at(fake, time)).embed(["late", "slow " * 1_000, "app"])
    expected = HashedWordEmbedder(dimensions=64).embed(["late", ("slow " * 1_000)[:625], "app"])
    assert np.allclose(vectors, expected, atol=1e-6)


def test_what_was_paid_for_is_kept_when_a_later_request_fails(
    fake: FakeOpenAI, time: Time, tmp_path: Path
) -> None:
    texts = [f"{n} " + "x" * 50 for n in range(6)]
    fake.then(fake.works, fake.works, refusal(404, "DeploymentNotFound", "gone"))
    for failing in (True, False):
        model = embedder_over(service_at(fake, time), max_text_bytes=64, max_request_tokens=120)
        cached = CachedEmbedder(model, tmp_path, batches=model.batches)
        if failing:
            with pytest.raises(TerminalError):
                cached.embed(texts)
        else:
            cached.embed(texts)
    paid = [text for asked in fake.asked for text in body(asked)["input"]]  # type: ignore[union-attr]
    refused = body(fake.asked[2])["input"]
    assert sorted(paid) == sorted([*texts, *refused])  # type: ignore[misc]


def test_notes_pass_through_the_cache(fake: FakeOpenAI, time: Time, tmp_path: Path) -> None:
    progress = SilentProgress()
    fake.then(too_many(after="9"))
    CachedEmbedder(embedder_over(service_at(fake, time)), tmp_path).embed(TEXTS, progress=progress)
    assert any("waiting 9 s" in note for note in progress.notes)


@pytest.mark.parametrize(
    ("endpoint", "azure", "url"),
    [
        ("https://x.openai.azure.com", True, "https://x.openai.azure.com/openai/v1"),
        ("https://x.openai.azure.com/openai/v1/", True, "https://x.openai.azure.com/openai/v1"),
        ("http://localhost:8080/v1", False, "http://localhost:8080/v1"),
        ("http://[::1]:1234/v1/", False, "http://[::1]:1234/v1"),
    ],
)
def test_addresses(endpoint: str, azure: bool, url: str) -> None:
    assert service_url(endpoint, azure=azure) == url


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://models.example.com/v1",
        "http://127.0.0.1.example.com/v1",
        "ftp://localhost/v1",
        "localhost:8080",
        "https://shop.example.com:99999",
        "https://[::1",
        "",
        "https://user:hunter2@x.openai.azure.com",
        "https://x.openai.azure.com/?api-key=hunter2",
    ],
)
def test_addresses_that_would_leak_are_refused(endpoint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        service_url(endpoint, azure=False)
    assert "hunter2" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("value", ["", " ", "two words", "line\nbreak", "schlüssel"])
def test_what_can_be_no_key_is_refused_unseen(value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        KeyAuth(lambda: value, header="api-key").headers()
    assert not value.strip() or value not in str(caught.value)
