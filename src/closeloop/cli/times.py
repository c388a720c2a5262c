"""Times as people give them on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

from closeloop.errors import UsageError, redact


def parse_time(text: str | None) -> datetime | None:
    """Return a time given on the command line; without a zone it is UTC.

    Raises UsageError with the forms that are understood.
    """
    if text is None:
        return None
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"no time: {redact(text)!r}", hint="write it like 2024-02-06 or 2024-02-06T18:00+01:00"
        ) from error
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
