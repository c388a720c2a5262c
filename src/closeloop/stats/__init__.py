"""Pure statistics: rates, baselines, evidence, change points, calibration, clusters."""
