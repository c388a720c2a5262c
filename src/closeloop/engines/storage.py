"""How tables are kept on disk, whichever engine writes them."""

from __future__ import annotations

import pyarrow as pa

from closeloop.tables import Table


def plain_columns(table: Table) -> list[str]:
    """Return the columns whose smallest and largest values may stand in Delta's log.

    Numbers and times only: a customer's words must not stay there after an erasure.
    """
    return [
        c.name
        for c in table.columns
        if pa.types.is_integer(c.type) or pa.types.is_timestamp(c.type)
    ]
