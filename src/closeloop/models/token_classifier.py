"""A recogniser of personal data from a local folder with an ONNX token classifier."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from closeloop.errors import ModelMissingError, RecogniserFaultError, redact
from closeloop.models.minilm import open_session
from closeloop.models.onnx_folder import MODEL_PLACES, model_version
from closeloop.ports import Recognised

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

DEFAULT_LABELS: Mapping[str, str] = {
    **dict.fromkeys(
        ("PER", "PERSON", "NAME", "FULLNAME", "FIRSTNAME", "MIDDLENAME", "LASTNAME", "GIVENNAME",
         "SURNAME"),
        "NAME",
    ),
    **dict.fromkeys(
        ("ADDRESS", "STREET", "STREETADDRESS", "STREETNAME", "SECONDARYADDRESS", "BUILDINGNUM",
         "BUILDINGNUMBER"),
        "ADDRESS",
    ),
}  # fmt: skip
"""Labels (without B-, I- and signs between words) and the token that takes their place."""

MIN_SCORE = 0.5
MAX_TOKENS = 256
OVERLAP = 32
"""A longer text is read in windows of MAX_TOKENS that share so many: none of it goes unseen."""
BATCH = 16
_PREFIX = re.compile(r"^[BIELSU][-_]")
_BEGIN = re.compile(r"^[BSU][-_]")

Floats = npt.NDArray[np.float64]


class TokenClassifier:
    """Masks what a token classifier marks; BIO and BILOU tags, or labels without either.

    The folder is any export of a Hugging Face model: tokenizer.json, config.json with id2label,
    model.onnx (or onnx/model.onnx). `labels` maps the model's labels to tokens (None: persons and
    addresses by their usual names). A word is masked as a whole where one of its pieces has a
    label at `min_score` or more, B- and I- counted together.
    Raises ModelMissingError where a file is absent or none of the labels is the model's.
    """

    def __init__(
        self,
        folder: Path,
        *,
        labels: Mapping[str, str] | None = None,
        min_score: float = MIN_SCORE,
        asked: str = "names",
        threads: int | None = None,
        memory: Path | None = None,
    ) -> None:
        self._given = (folder, labels, min_score, asked, threads, memory)
        self._folder = folder
        self._threads = threads
        self._min_score = min_score
        self._asked = asked
        self._model = next((folder / p for p in MODEL_PLACES if (folder / p).is_file()), None)
        for name, there in (("model.onnx", self._model), ("tokenizer.json", None)):
            if there is None and not (folder / name).is_file():
                raise _unusable(folder, f"holds no {name}")
        self._classes = _classes(folder)
        self._token_of = _tokens(folder, self._classes, labels)
        assert self._model is not None
        used = json.dumps([sorted(self._token_of.items()), min_score])
        settings = hashlib.blake2b(used.encode(), digest_size=3).hexdigest()
        version = model_version(self._model, memory=memory)
        self._version = f"{folder.name}/onnx@{version}+{settings}"
        self._loaded: tuple[Any, Tokenizer] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Ship the folder's name and the settings; the model is loaded where it is used."""
        return _again, self._given

    @property
    def version(self) -> str:
        """The folder's name, the model's sha256, and a hash of labels and least score."""
        return self._version

    @property
    def tokens(self) -> frozenset[str]:
        """The tokens that its labels stand for."""
        return frozenset(self._token_of.values())

    @property
    def asked(self) -> str:
        """Which texts it is to be asked of."""
        return self._asked

    def recognise(self, texts: Sequence[str]) -> list[list[Recognised]]:
        """Return what is found in each text, whole words, in order.

        Raises RecogniserFaultError where the model fails, ModelMissingError where it can't be loaded.
        """
        session, tokenizer = self._ready()
        windows: list[tuple[int, Encoding]] = []
        for row, text in enumerate(texts):
            # Lone surrogates are no text to the tokenizer; each is replaced by one sign.
            first = tokenizer.encode(text.encode("utf-8", "replace").decode())
            windows += [(row, window) for window in (first, *first.overflowing)]
        windows.sort(key=lambda window: len(window[1].ids))
        found: list[list[Recognised]] = [[] for _ in texts]
        for start in range(0, len(windows), BATCH):
            part = windows[start : start + BATCH]
            scores = self._scores(session, [window for _, window in part])
            for (row, window), chance in zip(part, scores, strict=True):
                found[row] += self._stretches(texts[row], window, chance)
        return [_joined(stretches) for stretches in found]

    def _scores(self, session: Any, windows: Sequence[Encoding]) -> list[Floats]:
        """Return the probabilities of the classes, [tokens, classes] a window."""
        longest = max(max(len(window.ids) for window in windows), 1)
        ids = np.zeros((len(windows), longest), dtype=np.int64)
        mask = np.zeros_like(ids)
        for line, window in enumerate(windows):
            ids[line, : len(window.ids)] = window.ids
            mask[line, : len(window.ids)] = 1
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        wanted = {
            node.name: feeds[node.name] for node in session.get_inputs() if node.name in feeds
        }
        try:
            logits = np.asarray(session.run(None, wanted)[0], np.float64)
        except Exception as error:
            raise RecogniserFaultError(
                f"the model in {redact(self._folder, keep=120)} failed ({type(error).__name__})",
                hint="run 'closeloop doctor'",
            ) from error
        if logits.shape != (*ids.shape, len(self._classes)) or not np.isfinite(logits).all():
            raise RecogniserFaultError(
                f"the model in {redact(self._folder, keep=120)} does not answer with one finite "
                f"score a token and label",
                hint="export it for token classification; its config.json must be its own",
            )
        exp = np.exp(logits - logits.max(axis=2, keepdims=True))
        chance = exp / exp.sum(axis=2, keepdims=True)
        return [chance[line, : len(window.ids)] for line, window in enumerate(windows)]

    def _stretches(self, text: str, window: Encoding, chance: Floats) -> list[Recognised]:
        names = [_bare(label) for label in self._classes]
        found: list[Recognised] = []
        for (start, end), scores in zip(window.offsets, chance, strict=True):
            if start == end:
                continue
            together: dict[str, float] = {}
            for name, score in zip(names, scores.tolist(), strict=True):
                if name in self._token_of:
                    token = self._token_of[name]
                    together[token] = together.get(token, 0.0) + score
            token, score = max(together.items(), key=lambda item: item[1])
            if score < self._min_score:
                continue
            opens = bool(_BEGIN.match(self._classes[int(scores.argmax())]))
            found.append(Recognised(*_whole_words(text, start, end), token))
            if opens or len(found) < 2:
                continue
            last, new = found[-2:]
            # What is between two words of one name goes with them.
            if last.token == new.token and not text[last.end : new.start].strip(" .'’-"):
                found[-2:] = [Recognised(last.start, max(last.end, new.end), new.token)]
        return found

    def _ready(self) -> tuple[Any, Tokenizer]:
        if self._loaded is None:
            from tokenizers import Tokenizer

            try:
                tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
                session = open_session(str(self._model), threads=self._threads)
            except Exception as error:
                raise _unusable(
                    self._folder, f"can't be loaded ({type(error).__name__})"
                ) from error
            tokenizer.no_padding()
            tokenizer.enable_truncation(MAX_TOKENS, stride=OVERLAP)
            self._loaded = session, tokenizer
        return self._loaded


def _again(
    folder: Path,
    labels: Mapping[str, str] | None,
    min_score: float,
    asked: str,
    threads: int | None,
    memory: Path | None,
) -> TokenClassifier:
    return TokenClassifier(
        folder, labels=labels, min_score=min_score, asked=asked, threads=threads, memory=memory
    )


def _classes(folder: Path) -> list[str]:
    try:
        stated = json.loads((folder / "config.json").read_text(encoding="utf-8"))["id2label"]
        return [str(stated[str(number)]) for number in range(len(stated))]
    except FileNotFoundError:
        raise _unusable(folder, "holds no config.json") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unusable(folder, "does not name its labels (config.json: id2label)") from error


def _tokens(
    folder: Path, classes: Sequence[str], labels: Mapping[str, str] | None
) -> dict[str, str]:
    chosen = {_bare(k): v for k, v in (DEFAULT_LABELS if labels is None else labels).items()}
    own = {_bare(label) for label in classes}
    used = {name: token for name, token in chosen.items() if name in own}
    missing = sorted(chosen.keys() - own) if labels is not None else []
    if missing or not used:
        listed = ", ".join(sorted(own - {"O"}))
        raise _unusable(
            folder,
            f"has no label {redact(missing[0])}" if missing else "has no label of persons",
            hint=f"name its labels under pii.model.labels; they are: {redact(listed, keep=300)}",
        )
    return used


def _bare(label: str) -> str:
    """Return a label without its tag and without signs: B-first_name is FIRSTNAME."""
    return re.sub(r"[^A-Z0-9]", "", _PREFIX.sub("", label).upper())


def _whole_words(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end - 1 and text[start].isspace():
        start += 1
    while start > 0 and text[start].isalnum() and text[start - 1].isalnum():
        start -= 1
    while end < len(text) and text[end - 1].isalnum() and text[end].isalnum():
        end += 1
    return start, end


def _joined(stretches: list[Recognised]) -> list[Recognised]:
    """Return stretches in order with those that overlap (from two windows) as one."""
    joined: list[Recognised] = []
    for new in sorted(stretches, key=lambda s: (s.start, s.end)):
        if joined and new.start < joined[-1].end:
            last = joined[-1]
            joined[-1] = Recognised(last.start, max(last.end, new.end), last.token)
        else:
            joined.append(new)
    return joined


def _unusable(folder: Path, why: str, *, hint: str = "") -> ModelMissingError:
    return ModelMissingError(
        f"pii.model.folder {redact(folder, keep=120)} {why}",
        hint=hint
        or "a token classifier's folder holds tokenizer.json, config.json and model.onnx "
        "(optimum-cli export onnx --task token-classification)",
    )
