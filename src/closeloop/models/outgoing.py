"""The door: what leaves for a language model is masked anew, and fenced in with a code of its own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pyarrow as pa

from closeloop.domain.brief import FactSheet
from closeloop.domain.grounding.sheet_view import plain_tokens
from closeloop.text.injections import looks_like_instruction
from closeloop.text.pii import Masker

NONCE_BYTES = 8
"""2^64 codes: a review can't hold the one of the request that it will be part of."""


class Door:
    """Lets out texts in which the masker finds nothing more; everything else stays in.

    A text that could not be masked, or that a second masking changes, is held back. Masked tokens
    leave as "(order)", without the key by which rows could be joined.
    """

    def __init__(self, masker: Masker) -> None:
        self._masker = masker

    def let_out(self, texts: Sequence[str]) -> list[str | None]:
        """Return each text as it may leave, None where it may not.

        It is masked as it is and on one line, as it is sent: a name may be told by what follows it.
        """
        shown = [plain_tokens(text) for text in texts]
        clean = [t if _encodable(t) else None for t in shown]
        lines = [None if t is None else on_one_line(t) for t in clean]
        kept = [self._unchanged(clean), self._unchanged(lines)]
        return [
            t if both else None
            for t, both in zip(clean, (all(pair) for pair in zip(*kept, strict=True)), strict=True)
        ]

    def _unchanged(self, texts: Sequence[str | None]) -> list[bool]:
        masked = self._masker.mask_all(pa.array(texts, pa.string())).texts.to_pylist()
        return [t is not None and t == again for t, again in zip(texts, masked, strict=True)]

    def let_out_customers(self, texts: Sequence[str]) -> list[str | None]:
        """Return customers' texts as they may leave; what looks like an instruction stays in too."""
        return [
            None if text is None or looks_like_instruction(text) else text
            for text in self.let_out(texts)
        ]

    def sheet(self, sheet: FactSheet) -> FactSheet:
        """Return the part of a fact sheet that may leave, numbered as before.

        Contacts (names with an @) stay in: a brief has no use for them.
        """
        said = self.let_out([f.statement for f in sheet.facts])
        quoted = self.let_out_customers([q.text for q in sheet.quotations])
        names = self.let_out(list(sheet.names))
        return replace(
            sheet,
            facts=tuple(
                f for f, text in zip(sheet.facts, said, strict=True) if text == f.statement
            ),
            quotations=tuple(
                replace(q, text=text)
                for q, text in zip(sheet.quotations, quoted, strict=True)
                if text is not None
            ),
            names=tuple(name for name in names if name is not None and "@" not in name),
        )

    def nonce(self, parts: Iterable[str]) -> str:
        """Return the code of a request: the same parts give the same, no part holds it."""
        texts = list(parts)
        for salt in range(1_000):
            digest = hashlib.blake2b(digest_size=NONCE_BYTES, key=self._masker.key[:64])
            for text in (str(salt), *texts):
                digest.update(text.encode("utf-8", "surrogatepass") + b"\x1f")
            code = digest.hexdigest()
            if not any(code in text for text in texts):
                return code
        raise AssertionError("no text can hold a thousand codes of itself")


def fenced(label: str, text: str, nonce: str) -> str:
    """Return a customer's text between markers that it can't forge, on one line."""
    return f"[{label} {nonce}] {on_one_line(text)} [/{label} {nonce}]"


def on_one_line(text: str) -> str:
    """Return a text with each run of white space as one space."""
    return re.sub(r"\s+", " ", text)


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
