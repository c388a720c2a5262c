"""Settings of every test: no deadlines (a busy machine is no defect), the same examples each time."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "closeloop", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("closeloop")
