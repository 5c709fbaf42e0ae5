"""How hypothesis runs here: no deadline for one example, since machines differ, and no files left behind."""

from hypothesis import HealthCheck, settings

settings.register_profile("chatq", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("chatq")
