"""Property tests draw `EXAMPLES` examples each: few here, more in `make test`."""

import os

from hypothesis import settings

settings.register_profile(
    "unit", deadline=None, max_examples=int(os.environ.get("EXAMPLES", "30"))
)
settings.load_profile("unit")
