"""The command line with a Ray of its own that takes little: for tests that kill it."""

from __future__ import annotations

import logging
import sys
from typing import Any

import ray

from hierarchy.executors import EXECUTORS
from hierarchy.executors.inline import Inline
from runs.cli import main


class LittleRay(Inline):
    """Two cores of Ray while the block lasts."""

    n_workers = 2

    def __enter__(self) -> LittleRay:
        ray.init(
            address="local",
            num_cpus=2,
            object_store_memory=80 << 20,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        return self

    def __exit__(self, *error: Any) -> None:
        ray.shutdown()


if __name__ == "__main__":
    EXECUTORS["ray"] = LittleRay
    sys.exit(main())
