"""Runs ADTK's seasonal detector over hourly series: counts.npy in, alarms.npy out.

    PYTHON benchmarks/adtk_peer.py COUNTS.npy ALARMS.npy TRAIN_HOURS

For an environment that has ADTK (requirements-adtk.txt); closeloop is not imported. SeasonalAD with
its default c = 3 and the week as its season, fitted to the first TRAIN_HOURS of each series.
"""

import sys
import warnings

import numpy as np
import pandas as pd  # type: ignore[import-not-found, import-untyped, unused-ignore]
from adtk.detector import SeasonalAD  # type: ignore[import-not-found, unused-ignore]

WEEK_H = 168


def main() -> None:
    """Write which hours of each series [series, hours] are anomalous, False before TRAIN_HOURS."""
    counts = np.load(sys.argv[1])
    train = int(sys.argv[3])
    warnings.simplefilter("ignore")
    hours = pd.date_range("2022-01-03", periods=counts.shape[1], freq="h")
    alarms = np.zeros(counts.shape, dtype=bool)
    for row, own in enumerate(counts):
        series = pd.Series(own.astype(float), index=hours)
        detector = SeasonalAD(freq=WEEK_H, c=3.0, side="positive")
        try:
            detector.fit(series.iloc[:train])
        except Exception as error:
            # "Series does not follow any known seasonal pattern": it says nothing of such a series.
            if "seasonal" not in str(error):
                raise
            continue
        found = detector.detect(series.iloc[train:])
        alarms[row, train:] = found.fillna(False).to_numpy().astype(bool)
    np.save(sys.argv[2], alarms)


if __name__ == "__main__":
    main()
