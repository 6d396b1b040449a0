"""Settings of hypothesis: on a busy machine one slow example says nothing."""

from hypothesis import HealthCheck, settings

settings.register_profile("kommunebro", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kommunebro")
