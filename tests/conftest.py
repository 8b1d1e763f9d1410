"""Settings of all tests.

Generated tests try the same cases in every run, so that a change is judged by what it changed and by nothing else;
`pytest --hypothesis-profile=explore` looks for new ones. None is judged by how fast the machine is.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, max_examples=1000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
