"""Offline and on one thread each: tests run side by side, and threads of theirs would only wait for one another."""

import os

from hypothesis import settings

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# How long an example takes says how busy the machine is, not whether it is right.
settings.register_profile("stentor", deadline=None)
settings.load_profile("stentor")
