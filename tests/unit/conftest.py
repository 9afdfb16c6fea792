"""Property tests draw `EXAMPLES` examples each: few here, more in `make test`."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "unit",
    deadline=None,
    max_examples=int(os.environ.get("EXAMPLES", "30")),
    suppress_health_check=[HealthCheck.too_slow],  # as drawing is on a busy machine
)
settings.load_profile("unit")
