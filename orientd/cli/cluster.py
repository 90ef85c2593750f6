"""The option --cluster, by which the nodes of a Ray cluster judge."""

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

import click

from orientd.config import Config
from orientd.errors import ConfigError


def clustering(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option."""
    about = "Have the nodes of a Ray cluster judge: auto on a machine of it, ray://HOST:10001 from elsewhere."
    return click.option("--cluster", metavar="ADDRESS", help=about)(command)


def on_cluster(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command that has the option the `cluster` that is asked for; GPUs are then wanted of its nodes, and not here."""

    @wraps(function)
    def around(config: Config, cluster: str | None, shard: str | None, **values: Any) -> int:
        if cluster is None:
            return function(config=config, cluster=None, shard=shard, **values)
        if shard is not None:
            raise ConfigError("--shard and --cluster are two ways to spread a scan: leave one of them out")
        from orientd.pipeline.cluster.scan import Cluster

        found = Cluster(cluster, config)
        return function(config=replace(config, provider="cpu"), cluster=found, shard=None, **values)

    return around
