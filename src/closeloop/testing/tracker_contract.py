"""What every tracker must do: one suite, which a connector's test subclasses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

from closeloop.domain.signal import Severity
from closeloop.domain.ticket import TicketStatus
from closeloop.errors import TerminalError
from closeloop.ports import Tracker
from closeloop.testing.store_contract import example_ticket

KEY = "ticket.create/T1"


class TrackerContract(ABC):
    """Subclass it and say how the tracker is made and looked into.

    Of its faults the outbox needs three told apart: TransientError where nothing was done and a
    retry may help, TerminalError where none will, and a plain OutsideError where it is not known
    whether the tracker acted (a timeout).
    """

    @abstractmethod
    def tracker(self) -> Tracker:
        """Return the tracker over an empty service; the same service at every call of a test."""

    @abstractmethod
    def issues(self) -> list[dict[str, str]]:
        """Return the service's issues: key, title, body, status, severity, owner."""

    @abstractmethod
    def comments(self, external_key: str) -> list[str]:
        """Return an issue's comments, oldest first."""

    def test_a_ticket_becomes_an_issue_with_all_that_its_owner_needs(self) -> None:
        """Title, text, quotations, severity and owner arrive."""
        ticket = example_ticket()
        key = self.tracker().create(ticket, idempotency_key=KEY)
        (issue,) = self.issues()
        assert issue["key"] == key
        assert issue["title"] == ticket.title
        assert ticket.body in issue["body"]
        assert all(example in issue["body"] for example in ticket.examples)
        assert (issue["severity"], issue["owner"]) == ("P1", "payments-team")

    def test_the_same_idempotency_key_never_opens_a_second(self) -> None:
        """Also for a tracker that was made anew, as after a kill."""
        first = self.tracker().create(example_ticket(), idempotency_key=KEY)
        second = self.tracker().create(example_ticket(), idempotency_key=KEY)
        assert first == second
        assert len(self.issues()) == 1

    def test_other_keys_open_other_issues(self) -> None:
        """Keys are told apart."""
        first = self.tracker().create(example_ticket("T1"), idempotency_key=KEY)
        second = self.tracker().create(example_ticket("T2"), idempotency_key=f"{KEY}2")
        assert first != second

    def test_an_update_brings_the_issue_up_to_date_and_comments_once(self) -> None:
        """Delivered twice, it is one comment."""
        tracker = self.tracker()
        key = tracker.create(example_ticket(), idempotency_key=KEY)
        changed = example_ticket(
            external_key=key, status=TicketStatus.RESOLVED, severity=Severity.P2, owner="app-team"
        )
        for _ in range(2):
            tracker.update(changed, comment="28 by now", idempotency_key="ticket.update/T1/x2")
        (issue,) = self.issues()
        assert (issue["status"], issue["severity"], issue["owner"]) == (
            "resolved",
            "P2",
            "app-team",
        )
        assert self.comments(key) == ["28 by now"]

    def test_erased_words_leave_the_issue(self) -> None:
        """An update with a ticket that has lost its words takes them from the issue's text."""
        tracker = self.tracker()
        ticket = example_ticket()
        key = tracker.create(ticket, idempotency_key=KEY)
        bare = replace(ticket, external_key=key, body="14 complaints", examples=())
        tracker.update(bare, comment="", idempotency_key="ticket.update/T1/erased")
        assert "money is gone" not in self.issues()[0]["body"]

    def test_an_update_without_an_issue_is_a_terminal_fault(self) -> None:
        """It is reported, never turned into a new issue."""
        try:
            self.tracker().update(
                example_ticket(external_key=None), comment="x", idempotency_key="u"
            )
        except TerminalError:
            assert self.issues() == []
            return
        raise AssertionError("an update of no issue was taken")
