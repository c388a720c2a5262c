"""Reads the prompts: a file each, with a version of its own and a hash of what it says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

NAMES = ("brief", "repair", "pair", "theme_name")


@dataclass(frozen=True, slots=True)
class Prompt:
    """Instructions to a language model; `version` is "brief 1 (5f3a…)": name, number, hash."""

    name: str
    version: str
    text: str


@cache
def prompt(name: str) -> Prompt:
    """Return a prompt by its name. Its first line is "version: N"; the rest is what is sent."""
    raw = files("closeloop.models.prompts").joinpath(f"{name}.md").read_text(encoding="utf-8")
    head, _, text = raw.partition("\n")
    number = head.removeprefix("version:").strip()
    digest = hashlib.blake2b(raw.encode(), digest_size=4).hexdigest()
    return Prompt(name, f"{name} {number} ({digest})", text.strip() + "\n")


@cache
def repair_prompt() -> Prompt:
    """Return the instructions for mending a brief: its own, then those for writing one."""
    mend, write = prompt("repair"), prompt("brief")
    version = f"{mend.version}, {write.version}"
    return Prompt("repair", version, f"{mend.text}\n{write.text}")
