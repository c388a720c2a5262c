"""Settings of every test: no deadlines (a busy machine is no defect), the same examples each time.

`make check` tries each property on 25 examples; `make test` tries it again, thoroughly.
"""

from hypothesis import HealthCheck, settings

_SETTINGS = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", _SETTINGS, max_examples=25)
settings.register_profile("thorough", _SETTINGS, max_examples=200)
settings.load_profile("quick")
