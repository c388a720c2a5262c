"""What the bar and the plain lines tell of steps inside steps."""

import io
import time

import pytest
from rich.console import Console

from closeloop.cli import progress as module
from closeloop.cli.progress import BarProgress, PlainProgress


@pytest.fixture
def screen(monkeypatch):
    """What a terminal was sent."""
    sent = io.StringIO()
    console = Console(file=sent, force_terminal=True, width=160)
    monkeypatch.setattr("rich.console.Console", lambda **_: console)
    monkeypatch.setattr(module, "SHOWN_AFTER_S", 0.01)
    return sent


def appeared(sent, text):
    """Whether the terminal was sent the text within a moment."""
    until = time.monotonic() + 10
    while text not in sent.getvalue() and time.monotonic() < until:
        time.sleep(0.02)
    return text in sent.getvalue()


def test_the_first_pass_of_a_replay_names_the_step_it_is_in(screen):
    bar = BarProgress()
    bar.start("replay", total=49, unit="passes")
    bar.start("embed")
    bar.start("embed", total=2_813, unit="texts")
    bar.advance(32)
    assert appeared(screen, "replay: embed 32 of 2,813 texts")
    assert appeared(screen, "0 of 49 passes")
    for _ in range(3):
        bar.finish()


def test_without_an_outer_total_the_bar_counts_the_inner_step(screen):
    bar = BarProgress()
    bar.start("enrich")
    bar.start("fit the tone to the stars")
    assert appeared(screen, "enrich: fit the tone to the stars")
    bar.finish()
    bar.start("enrich", total=300, unit="texts")
    bar.advance(100)
    assert appeared(screen, "100 of 300 texts")
    bar.finish()
    bar.finish()


def test_a_step_that_ends_in_a_moment_shows_no_bar(screen, monkeypatch):
    monkeypatch.setattr(module, "SHOWN_AFTER_S", 60)
    bar = BarProgress()
    bar.start("refine", total=1)
    bar.advance()
    bar.finish()
    assert not screen.getvalue()


def test_plain_lines_tell_of_the_innermost_step_and_go_on_with_the_outer_one(capsys):
    plain = PlainProgress(every_s=0.0)
    plain.start("replay", total=49, unit="passes")
    plain.start("embed", total=10, unit="texts")
    plain.advance(4)
    plain.finish()
    plain.advance()
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("embed: 4 of 10 texts")
    assert said[1].startswith("replay: 1 of 49 passes")
