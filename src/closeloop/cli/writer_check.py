"""What `closeloop doctor` says of the language model: settings, price, retirement, and an answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from closeloop.app import Workspace
from closeloop.domain.model_answer import AnswerState, ModelRequest

if TYPE_CHECKING:
    from closeloop.models.metered_model import MeteredLanguageModel

OLD_TABLE = timedelta(days=270)
"""Prices and retirements change within months: an older table is worth a look."""
PROBE = ModelRequest(
    purpose="probe",
    prompt_version="1",
    instructions="Answer with well: true.",
    text="Do you answer?",
    schema_name="probe",
    schema={
        "type": "object",
        "properties": {"well": {"type": "boolean"}},
        "required": ["well"],
        "additionalProperties": False,
    },
    max_output_tokens=32,
)
"""The smallest request that shows whether a language model answers in JSON."""


@dataclass(frozen=True, slots=True)
class WriterCheck:
    """Whether the language model is well, what was seen, and what to do."""

    ok: bool
    detail: str
    advice: str = ""


def check_writer(workspace: Workspace, *, connect: bool = False) -> WriterCheck:
    """Look at the settings of the language model; with `connect` ask it once, which is billed.

    Raises SettingsError where they are wrong.
    """
    model = workspace.models.language_model()
    if model is None:
        return WriterCheck(ok=True, detail="deterministic: no language model is asked")
    now = workspace.now()
    notes = [*_retired(workspace, now), *_priced(workspace, now)]
    if not connect:
        return WriterCheck(
            ok=not any(over for over, _ in notes),
            detail=f"{model.name}, not asked (closeloop doctor --connect asks it once)",
            advice="\n      ".join(note for _, note in notes),
        )
    asked = _ask(model, now)
    advice = [asked.advice, *(note for _, note in notes)]
    return replace(asked, advice="\n      ".join(a for a in advice if a))


def retirement_notes(workspace: Workspace, now: datetime) -> list[str]:
    """Return what is to be said of the configured model's retirement, for doctor and run."""
    return [note for _, note in _retired(workspace, now)]


def _ask(model: MeteredLanguageModel, now: datetime) -> WriterCheck:
    # A text of its own each time: a kept answer would show nothing.
    answer = model.answer(replace(PROBE, text=f"Do you answer at {now.isoformat()}?"))
    if answer.state is not AnswerState.ANSWERED:
        return WriterCheck(
            ok=False, detail=f"{model.name}: {answer.state.value}", advice=answer.detail
        )
    cost = "of unknown cost" if answer.cost_usd is None else f"${answer.cost_usd:.6f}"
    used = f"{answer.usage.input} tokens read, {answer.usage.output} written, {cost}"
    return WriterCheck(ok=True, detail=f"{model.name} answers ({used})")


def _retired(workspace: Workspace, now: datetime) -> list[tuple[bool, str]]:
    """Return (whether it is over for sure, words); a deployment's name is only a hint."""
    chosen = workspace.settings.writer
    table = workspace.models.retirements()
    for name, sure in ((chosen.model, True), (chosen.deployment, chosen.model is None)):
        found = table.of(name, now=now)
        if found is None or not sure:
            continue
        ends = "was retired" if found.over else "will be retired"
        note = (
            f"{found.family} {ends} by its vendor in {found.month} (table of {table.as_of}): "
            "deploy another model and set writer.deployment and writer.model"
        )
        if name != chosen.model:
            note = f"if the deployment {name} serves {found.family}: {note}"
        return [(found.over and name == chosen.model, note)]
    return []


def _priced(workspace: Workspace, now: datetime) -> list[tuple[bool, str]]:
    chosen = workspace.settings.writer
    prices = workspace.models.prices()
    if prices.price(chosen.model, chosen.deployment) is None:
        return [
            (
                False,
                "its price is not known: cost is unknown and calls are counted only; set "
                "writer.model, or add it to prices.yaml in the workspace",
            )
        ]
    if now - datetime.fromisoformat(prices.as_of).replace(tzinfo=now.tzinfo) > OLD_TABLE:
        return [(False, f"prices are of {prices.as_of}: look at them, or add prices.yaml")]
    return []
