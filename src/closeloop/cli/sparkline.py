"""Small pictures of counts over time for a terminal, with marks under the times that matter."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN_BLOCKS = "_.-=+*#@"


def unicode_output() -> bool:
    """Return whether standard output can show more than ASCII."""
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")


def bars(counts: Sequence[int], *, unicode: bool = True) -> str:
    """Return one character a count, its height in proportion to the largest; 0 is the lowest."""
    blocks = BLOCKS if unicode else PLAIN_BLOCKS
    top = max(counts, default=0)
    if top <= 0:
        return blocks[0] * len(counts)
    # Anything above 0 stands out from 0.
    heights = [0 if n <= 0 else max(1, round(n / top * (len(blocks) - 1))) for n in counts]
    return "".join(blocks[h] for h in heights)


def marks(width: int, labels: Mapping[int, str], *, unicode: bool = True) -> list[str]:
    """Return lines with an arrow under each position and its label, one line a label.

    Positions outside 0..width-1 are left out.
    """
    arrow = "↑" if unicode else "^"
    lines = []
    for position, label in sorted(labels.items()):
        if 0 <= position < width:
            lines.append(f"{' ' * position}{arrow} {label}")
    return lines
