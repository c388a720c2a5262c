"""Runs the SQL of unity_sql on a workspace, through the Spark session of the job or notebook."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from closeloop.engines.unity_sql import Statement
from closeloop.errors import OutsideError, redact


class Session(Protocol):
    """As much of a Spark session as is needed."""

    def sql(self, sqlQuery: str) -> Any:  # noqa: N803 - Spark's own name
        """Run one statement."""
        ...


def publish(
    session: Session,
    statements: Sequence[Statement],
    *,
    on_statement: Callable[[Statement], None] = lambda _: None,
) -> dict[str, int]:
    """Run the statements in order; return how many of each part were run.

    Raises OutsideError at the first that is refused, with what it was for. What ran before stays:
    the same call again runs it once more and goes on.
    """
    done: Counter[str] = Counter()
    for statement in statements:
        try:
            session.sql(statement.sql)
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            raise OutsideError(
                f"{statement.part} of {statement.about}: {redact(reason, keep=300)}",
                hint="docs/databricks.md names the grants and governed tags that must be there; "
                "then run it again as a whole",
            ) from error
        done[statement.part] += 1
        on_statement(statement)
    return dict(done)


def session_here() -> Session:
    """Return the Spark session of this job or notebook.

    Raises OutsideError where pyspark is not installed or this is not Databricks.
    """
    from closeloop.engines.spark_session import SparkPlace, open_session

    try:
        session: Session = open_session(SparkPlace(databricks=True))
    except OutsideError as error:
        raise OutsideError(
            f"there is no Spark here: {error.message}",
            hint="run it in a job of the bundle or a notebook on Databricks; 'closeloop databricks "
            "sql' prints the same statements for a SQL editor",
        ) from error
    return session
