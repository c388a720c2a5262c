"""Classifies texts by TF-IDF and logistic regression, for `labels.py` to compare with.

    python benchmarks/tfidf_peer.py TASKS.json ANSWERS.json

Needs `pip install -r benchmarks/requirements-tfidf.txt`. TASKS.json is a list of objects with
`train` (texts), `labels` and `test` (texts); the answers are a list of lists of labels.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    """Answer every task with a model of its own."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-not-found]
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-not-found]
    from sklearn.pipeline import make_pipeline  # type: ignore[import-not-found]

    answers = []
    for task in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        # Words and pairs of words, each class of equal weight: a usual strong baseline.
        model = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, strip_accents=None),
            LogisticRegression(C=10.0, max_iter=2_000, class_weight="balanced"),
        )
        model.fit(task["train"], task["labels"])
        answers.append(model.predict(task["test"]).tolist())
    Path(sys.argv[2]).write_text(json.dumps(answers), encoding="utf-8")


if __name__ == "__main__":
    main()
