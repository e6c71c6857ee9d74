"""A cluster of Ray on this machine: nodes of one core each, with processes of their own, as on machines of their own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hierarchy.executors import clusters, warden

NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}


@contextmanager
def nodes_of(n_nodes: int, mode: str = "token") -> Iterator[Any]:
    """A `ray.cluster_utils.Cluster` that this process has not joined, whose processes end with the block.

    The block has the token of the cluster, in the ``mode`` in which it asks for one or not.
    """
    from ray.cluster_utils import Cluster

    with TemporaryDirectory(prefix="nodes-", ignore_cleanup_errors=True) as folder:
        token = {clusters.MODE: mode, clusters.TOKEN: secrets.token_hex(32)}
        with clusters.variables({**clusters.QUIET, **token}):
            (Path(folder) / "ray").mkdir()
            nodes = Cluster(shutdown_at_exit=False)
            try:
                with clusters.variables({warden.MARK: folder, "RAY_TMPDIR": folder}):
                    for _ in range(n_nodes):
                        nodes.add_node(**NODE)
                yield nodes
            finally:
                nodes.shutdown()
                warden.end(folder)
