"""What the sources in closeloop.yaml mean to Kafka's clients; secrets stand in no message."""

from __future__ import annotations

import pytest

from closeloop.app import Workspace
from closeloop.connectors.sources.kafka import KafkaPlace
from closeloop.errors import SettingsError, UsageError
from closeloop.settings import load
from closeloop.streaming import kafka_place, spark_options, streams_of
from closeloop.testing.progress import SilentProgress

HUB = "Endpoint=sb://shop.servicebus.windows.net/;SharedAccessKeyName=n;SharedAccessKey=s3cret="


def settings(folder, text):
    (folder / "closeloop.yaml").write_text(text)
    return load(folder).settings.sources["s"].kafka


def test_event_hubs_needs_its_connection_string_only(tmp_path, monkeypatch):
    monkeypatch.setenv("HUB", HUB)
    kafka = settings(
        tmp_path, "sources: {s: {kafka: {connection_string: '${env:HUB}', topics: [t]}}}"
    )
    place = kafka_place(kafka, "s")
    assert place.servers == "shop.servicebus.windows.net:9093"
    assert "s3cret" not in repr(place)
    options = spark_options(place)
    assert options["kafka.security.protocol"] == "SASL_SSL"
    assert 'username="$ConnectionString"' in options["kafka.sasl.jaas.config"]


def test_a_connection_string_without_a_namespace_is_not_shown():
    with pytest.raises(SettingsError) as caught:
        KafkaPlace.event_hubs("SharedAccessKey=s3cret", ("t",))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("kafka", "says"),
    [
        ("{topics: [t], servers: 'a:1', password: s3cret}", "refer to it"),
        ("{topics: [t], connection_string: s3cret}", "refer to it"),
        ("{topics: [t]}", "give servers"),
        ("{topics: [], servers: 'a:1'}", "at least 1"),
    ],
)
def test_wrong_settings_are_named_without_secrets(tmp_path, kafka, says):
    with pytest.raises(SettingsError) as caught:
        settings(tmp_path, f"sources: {{s: {{kafka: {kafka}}}}}")
    assert says in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_password_can_not_end_its_quotation():
    place = KafkaPlace("a:1", ("t",), username="u", password='p"; evil="')
    assert 'password="p\\"; evil=\\"";' in spark_options(place)["kafka.sasl.jaas.config"]


def test_only_declared_streams_can_be_asked_for(tmp_path):
    (tmp_path / "closeloop.yaml").write_text("sources: {a: {files: [inbox]}, b: {}}")
    workspace = Workspace(tmp_path, progress=SilentProgress())
    assert list(streams_of(workspace)) == ["a"]
    with pytest.raises(UsageError, match="no stream 'b'"):
        streams_of(workspace, ["b"])
