"""Settings say where they are wrong, and secrets stay references."""

from datetime import timedelta
from pathlib import Path

import pytest

from closeloop.domain.policy import Action
from closeloop.errors import SettingsError
from closeloop.settings import FILES, default_text, duration, load, resolve


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")


def failure(folder: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        load(folder)
    return str(caught.value)


def test_an_empty_folder_has_the_defaults(tmp_path):
    loaded = load(tmp_path)
    assert loaded.settings.timezone == "UTC"
    assert loaded.configuration.policy.rules[0].action is Action.TICKET
    assert len(loaded.configuration.taxonomy.categories) >= 10


def test_the_files_of_init_say_the_same_as_no_files(tmp_path):
    for name in FILES:
        write(tmp_path, name, default_text(name))
    assert load(tmp_path) == load(tmp_path / "nowhere")


def test_values_reach_the_configuration(tmp_path):
    write(
        tmp_path,
        "closeloop.yaml",
        """
products:
  - {id: app, aliases: [com.example.app]}
sources:
  play: {lag: 2h, backfill_after: 5d, timezone: Europe/Berlin, columns: {text: content}}
pii:
  rules: [{name: card, pattern: 'LC-\\d+', token: LOYALTY, joinable: true}]
themes: {min_texts: 50}
""",
    )
    loaded = load(tmp_path)
    config = loaded.configuration
    assert config.product_id("COM.example.App") == "app"
    assert config.source("play").lag == timedelta(hours=2)
    assert config.source("unheard of").backfill_after == timedelta(days=3)
    assert config.pii_rules[0].token == "LOYALTY"
    assert config.theme_min_texts == 50
    assert loaded.settings.sources["play"].columns == {"text": "content"}


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (
            "closeloop.yaml",
            "timezon: UTC",
            ("closeloop.yaml:1", "timezon", "did you mean 'timezone'"),
        ),
        ("closeloop.yaml", "a: [", ("closeloop.yaml:1", "YAML")),
        ("closeloop.yaml", "- a\n- b", ("closeloop.yaml", "list")),
        (
            "closeloop.yaml",
            "\n\ntimezone: Mars/Base",
            ("closeloop.yaml:3", "Mars/Base", "time zone"),
        ),
        (
            "closeloop.yaml",
            "sources:\n  play:\n    lag: soon",
            ("closeloop.yaml:3", "sources.play.lag", "'soon'", "15m"),
        ),
        (
            "closeloop.yaml",
            "sources:\n  play:\n    lags: 1h",
            ("closeloop.yaml:3", "did you mean 'lag'"),
        ),
        ("closeloop.yaml", "pii: {rules: [{name: a, pattern: '(', token: A}]}", ("regular",)),
        ("policy.yaml", "rules: [{name: a, action: explode}]", ("policy.yaml:1", "explode")),
        ("policy.yaml", "rules: []", ("policy.yaml", "rules")),
        (
            "policy.yaml",
            "rules: [{name: a, action: digest, categories: [paymentz]}]",
            ("policy.yaml", "paymentz", "taxonomy.yaml"),
        ),
        ("owners.yaml", "rules: [{owner: x, category: nope}]", ("owners.yaml", "nope")),
        (
            "taxonomy.yaml",
            "categories: [{name: a, description: d, examples: [x]}, {name: a, description: d, examples: [y]}]",
            ("taxonomy.yaml", "twice"),
        ),
    ],
)
def test_a_wrong_file_is_named_with_line_and_value(tmp_path, name, text, told):
    write(tmp_path, name, text)
    message = failure(tmp_path)
    for part in told:
        assert part in message


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "closeloop.yaml").write_bytes(b"\xff\xfe\x00")
    assert "closeloop.yaml" in failure(tmp_path)


def test_the_version_of_a_policy_follows_its_text(tmp_path):
    text = default_text("policy.yaml")
    write(tmp_path, "policy.yaml", text)
    first = load(tmp_path).configuration.policy.version
    write(tmp_path, "policy.yaml", text + "\n# a thought\n")
    assert load(tmp_path).configuration.policy.version != first


def test_references_are_resolved_and_never_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("CLOSELOOP_TEST_SECRET", "hunter2")
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    text = resolve(f"a:${{env:CLOSELOOP_TEST_SECRET}}@${{file:{secret}}}", where="x")
    assert text == "a:hunter2@s3cret"
    monkeypatch.delenv("CLOSELOOP_TEST_SECRET")
    with pytest.raises(SettingsError, match="CLOSELOOP_TEST_SECRET is not set"):
        resolve("${env:CLOSELOOP_TEST_SECRET}", where="x")
    with pytest.raises(SettingsError, match="can't be read"):
        resolve("${file:/nowhere/at/all}", where="x")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("26h", 93600), ("3d", 259200), ("1.5h", 5400)]
)
def test_durations(text, seconds):
    assert duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "3", "d", "3 days", "-1h", None])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="number and a unit"):
        duration(text)


def test_an_embedder_over_the_network_is_read_and_its_key_stays_a_reference(tmp_path):
    write(
        tmp_path,
        "closeloop.yaml",
        """
embedder:
  kind: azure_openai
  endpoint: https://shop.openai.azure.com
  deployment: vectors
  api_key: ${env:AZURE_OPENAI_API_KEY}
  dimensions: 512
  tokens_per_minute: 100000
  max_wait: 2m
""",
    )
    embedder = load(tmp_path).settings.embedder
    assert embedder.api_key == "${env:AZURE_OPENAI_API_KEY}"
    assert (embedder.dimensions, embedder.tokens_per_minute) == (512, 100_000)
    assert embedder.max_wait == timedelta(minutes=2)


@pytest.mark.parametrize("written", ["sk-hunter2", "sk-${env:PART}-hunter2", "[hunter2]"])
def test_a_key_written_into_the_file_is_refused_and_not_shown(tmp_path, written):
    write(tmp_path, "closeloop.yaml", f"embedder: {{kind: openai, api_key: {written!r}}}")
    message = failure(tmp_path)
    assert "api_key" in message
    assert "${env:NAME}" in message
    assert "hunter2" not in message


def test_a_language_model_is_read_and_its_key_stays_a_reference(tmp_path):
    write(
        tmp_path,
        "closeloop.yaml",
        """
writer:
  kind: azure_openai
  endpoint: https://shop.openai.azure.com
  deployment: briefs
  api_key: ${env:AZURE_OPENAI_API_KEY}
  reasoning_effort: low
  timeout: 90s
  budget: {daily_usd: 5}
""",
    )
    writer = load(tmp_path).settings.writer
    assert (writer.api_key, writer.api) == ("${env:AZURE_OPENAI_API_KEY}", "responses")
    assert writer.timeout == timedelta(seconds=90)
    assert (writer.budget.daily_usd, writer.budget.max_calls_a_day) == (5.0, 2_000)


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("{kind: openai, api_key: sk-hunter2}", "${env:NAME}"),
        ("{kind: gpt}", "write one of deterministic, azure_openai, openai"),
        ("{timeout: 0s}", "give the model some time"),
        ("{api: batch}", "write one of responses, chat"),
        ("{budget: {dayly_usd: 1}}", "did you mean 'daily_usd'?"),
        ("{budget: {daily_usd: -1}}", "write 0 or more"),
    ],
)
def test_what_can_be_no_writer_is_refused(tmp_path, written, named):
    write(tmp_path, "closeloop.yaml", f"writer: {written}")
    message = failure(tmp_path)
    assert named in message
    assert "hunter2" not in message
