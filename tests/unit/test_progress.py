"""Parts of a long work, as they are counted."""

import pytest

from closeloop.progress import Share, shown
from closeloop.testing.progress import SilentProgress


class Counting(SilentProgress):
    """Keeps what it was told."""

    def __init__(self):
        super().__init__()
        self.told = []
        self.open = 0

    def start(self, step, *, total=None, unit="rows"):
        self.open += 1

    def advance(self, count=1):
        self.told.append(count)

    def finish(self):
        self.open -= 1


def test_parts_count_as_their_share_and_all_is_told_in_the_end():
    outer = Counting()
    share = Share(outer, units=100, parts=30)
    share.advance(10)
    share.advance(10)
    assert sum(outer.told) == 66
    share.finish()
    assert sum(outer.told) == 100


def test_a_model_that_counts_too_much_never_tells_more_than_all():
    outer = Counting()
    share = Share(outer, units=5, parts=2)
    share.advance(7)
    share.finish()
    assert sum(outer.told) == 5


def test_notes_of_a_model_are_shown():
    outer = Counting()
    Share(outer, units=1, parts=1).note("the service is busy")
    assert outer.notes == ["the service is busy"]


def test_a_step_ends_with_an_error_too():
    outer = Counting()
    with pytest.raises(ValueError, match="no"), shown(outer, "embed"):
        raise ValueError("no")
    assert outer.open == 0
