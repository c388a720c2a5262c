"""The models of a workspace: made when first asked for, and kept for all of its commands."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from closeloop import settings as settings_module
from closeloop.domain.model_call import Budget
from closeloop.ports import Embedder, Recogniser
from closeloop.settings import LoadedSettings

if TYPE_CHECKING:
    from closeloop.domain.model_call import PriceTable
    from closeloop.domain.retirement import Retirements
    from closeloop.models.batched_model import BatchedModel
    from closeloop.models.metered_model import MeteredLanguageModel
    from closeloop.models.model_judge import ModelJudge
    from closeloop.models.model_namer import ModelNamer
    from closeloop.models.outgoing import Door
    from closeloop.models.remote import RemoteModel
    from closeloop.models.remote_writer import RemoteWriter
    from closeloop.ports import LanguageModel, Writer
    from closeloop.store.model_calls import SqlCallLedger


class WorkspaceModels:
    """What embeds, writes, judges, names and masks in a workspace, as closeloop.yaml chooses."""

    def __init__(
        self,
        folder: Path,
        loaded: LoadedSettings,
        *,
        token_key: Callable[[], bytes],
        call_ledger: Callable[[], SqlCallLedger],
    ) -> None:
        self.folder = folder
        self.settings = loaded.settings
        self._config = loaded.configuration
        self._token_key = token_key
        self._call_ledger = call_ledger
        self._embedder: Embedder | None = None
        self._language_model: MeteredLanguageModel | None = None
        self._asking: tuple[ModelJudge, ModelNamer] | None = None
        self._recogniser: Recogniser | None = None

    def begin_run(self) -> None:
        """Begin the budgets of a run anew."""
        if self._language_model is not None:
            self._language_model.begin_run(secrets.token_hex(8))
        for asking in self._asking or ():
            asking.begin_run()

    def embedder(self) -> Embedder:
        """Return the configured embedder behind the vector cache, made when first asked for."""
        if self._embedder is None:
            from closeloop.models.wiring import make_embedder

            chosen = self.settings.embedder
            self._embedder = make_embedder(
                kind=chosen.kind,
                folder=chosen.folder,
                threads=chosen.threads,
                prefix=chosen.prefix,
                remote=_remote_model(chosen),
                cache_folder=self.folder / self.settings.storage.vector_cache,
                seed=self.settings.seed,
            )
        return self._embedder

    def language_model(self) -> MeteredLanguageModel | None:
        """Return the configured language model, made when first asked for; None where none is.

        Its answers are kept, its calls counted, for all commands and backtests of the workspace.
        """
        if self._language_model is None:
            from closeloop.models.metered_model import Terms
            from closeloop.models.wiring import make_language_model

            chosen = self.settings.writer
            self._language_model = make_language_model(
                kind=chosen.kind,
                remote=_remote_writer(chosen),
                terms=Terms(
                    prices=self.prices(),
                    budget=Budget(**chosen.budget.model_dump()),
                    now=lambda: datetime.now(UTC),
                    zone=self.settings.timezone,
                ),
                ledger=self._call_ledger,
                seed=self.settings.seed,
            )
            if self._language_model is not None:
                self._language_model.begin_run(secrets.token_hex(8))
        return self._language_model

    def recogniser(self) -> Recogniser | None:
        """Return the configured model that finds personal data, made when first asked for."""
        chosen = self.settings.pii.model
        if chosen is not None and self._recogniser is None:
            from closeloop.models.wiring import make_recogniser

            self._recogniser = make_recogniser(
                **chosen.model_dump(),
                cache_folder=self.folder / self.settings.storage.vector_cache,
            )
        return self._recogniser

    def batched_model(self) -> BatchedModel | None:
        """Return the configured language model as it is asked in batches; None where none is."""
        model = self.language_model()
        if model is None:
            return None
        from closeloop.models.wiring import make_batched_model
        from closeloop.store.model_batches import SqlBatchBook

        return make_batched_model(
            model,
            book=SqlBatchBook(self._call_ledger()),
            deployment=self.settings.writer.batch_deployment,
        )

    def prices(self) -> PriceTable:
        """Return what models cost: closeloop's dated table, the workspace's prices.yaml over it."""
        from closeloop.vendor_facts import load_prices

        return load_prices(self.folder)

    def retirements(self) -> Retirements:
        """Return which models their vendor retires, and when."""
        from closeloop.vendor_facts import load_retirements

        return load_retirements(self.folder)

    def writer(self) -> Writer:
        """Return the writer of briefs: the language model's where one is configured."""
        from closeloop.models.deterministic_writer import DeterministicWriter

        model = self.language_model()
        return DeterministicWriter() if model is None else self.writer_over(model)

    def writer_over(self, model: LanguageModel) -> Writer:
        """Return the writer of briefs by a language model."""
        from closeloop.models.model_writer import ModelWriter

        return ModelWriter(model, self._door())

    def judges(self) -> tuple[ModelJudge | None, ModelNamer | None]:
        """Return what judges pairs and names themes: the language model where one is configured."""
        model = self.language_model()
        if model is None:
            return None, None
        if self._asking is None:
            from closeloop.models.model_judge import ModelJudge
            from closeloop.models.model_namer import ModelNamer

            door = self._door()
            self._asking = ModelJudge(model, door), ModelNamer(model, door)
        return self._asking

    def _door(self) -> Door:
        from closeloop.models.outgoing import Door
        from closeloop.text.pii import Masker

        return Door(Masker.of(key=self._token_key(), own=self._config.pii_rules))


def _remote_model(chosen: settings_module.EmbedderSettings) -> RemoteModel:
    """Return what closeloop.yaml says of an embedder over the network; the key is not read yet."""
    from closeloop.models.openai_embedder import MAX_TEXT_BYTES
    from closeloop.models.remote import RemoteModel

    return RemoteModel(
        **_served(chosen, "embedder"),
        dimensions=chosen.dimensions,
        prefix=chosen.prefix,
        max_text_bytes=chosen.max_text_bytes or MAX_TEXT_BYTES,
    )


def _remote_writer(chosen: settings_module.WriterSettings) -> RemoteWriter:
    """Return what closeloop.yaml says of a language model; the key is not read yet."""
    from closeloop.models.remote_writer import RemoteWriter

    return RemoteWriter(
        **_served(chosen, "writer"),
        api=chosen.api,
        reasoning_effort=chosen.reasoning_effort,
        reasoning_tokens=chosen.reasoning_tokens,
        max_output_tokens=chosen.max_output_tokens,
    )


def _served(
    chosen: settings_module.EmbedderSettings | settings_module.WriterSettings, section: str
) -> dict[str, Any]:
    """Return where and how a model is served, from its section of closeloop.yaml."""
    key = chosen.api_key
    return {
        "endpoint": chosen.endpoint,
        "deployment": chosen.deployment,
        "model": chosen.model,
        "auth": chosen.auth,
        "api_key": None
        if key is None
        else lambda: settings_module.resolve(key, where=f"closeloop.yaml: {section}.api_key"),
        "token_scope": chosen.token_scope,
        "requests_per_minute": chosen.requests_per_minute,
        "tokens_per_minute": chosen.tokens_per_minute,
        "timeout_s": chosen.timeout.total_seconds(),
        "max_wait_s": chosen.max_wait.total_seconds(),
    }
