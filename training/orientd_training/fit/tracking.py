"""Runs followed in MLflow, wherever MLFLOW_TRACKING_URI says; sole owner of mlflow.

The id of its run there is kept in the run folder, so that a resumed training, and the report that comes later, go to that one.
MLflow's own telemetry is off unless the environment says otherwise.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orientd import commands
from orientd.errors import ConfigError, ExitCode
from orientd_training.config import TrainConfig
from orientd_training.files import replacing
from orientd_training.fit import checkpoint

ID = "mlflow.json"
_LONGEST = 500
Scalars = Mapping[str, float]


@contextmanager
def following(config: TrainConfig, run: Path, photos: int) -> Iterator[Callable[[int, Scalars], None]]:
    """Follow the training in `run`, `photos` of it being done; what is called gets figures by step.

    The best weights, the recipe and the log become artifacts once the training has ended.

    Raises:
        ConfigError: MLflow is not installed, or does not know the run that this one continues.
    """
    mlflow = _mlflow()
    if mlflow is None:
        raise ConfigError(f"mlflow: it is not installed: {commands.adding('mlflow')}, or set mlflow to false")
    known = _known(run)
    try:
        followed = mlflow.start_run(run_id=known) if known else mlflow.start_run(run_name=f"{config.name}: {run.name}")
    except mlflow.exceptions.MlflowException as error:
        raise ConfigError(f"mlflow: {_in_words(error, run)}") from error
    status = "FAILED"
    try:
        with replacing(run / ID) as partial:
            partial.write_text(json.dumps({"run_id": followed.info.run_id, "tracking_uri": mlflow.get_tracking_uri()}))
        mlflow.log_params(_new(flat(asdict(config)), followed.data.params, photos))
        yield lambda step, scalars: mlflow.log_metrics(dict(scalars), step=step)
        for name in (checkpoint.BEST, checkpoint.CONFIG, checkpoint.FACTS, "log.jsonl"):
            if (run / name).exists():
                mlflow.log_artifact(str(run / name))
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    except Exception as error:
        status = "KILLED" if getattr(error, "exit_code", None) is ExitCode.INTERRUPTED else "FAILED"
        raise
    finally:
        mlflow.end_run(status)


def keep(run: Path, files: Sequence[Path], folder: str, figures: Scalars) -> str:
    """Log files as artifacts in `folder` of the MLflow run that tracked `run`, if one did, and figures as its metrics.

    Returns a message about the result; an empty one if the run was not tracked.
    """
    known = _known(run)
    if not known:
        return ""
    mlflow = _mlflow()
    if mlflow is None:
        return f"mlflow: it is not installed: {commands.adding('mlflow')}; the report is in {run} alone"
    client = mlflow.MlflowClient()
    try:
        for file in files:
            client.log_artifact(known, str(file), folder)
        for name, value in figures.items():
            client.log_metric(known, name, value)
    except mlflow.exceptions.MlflowException as error:
        return f"mlflow: {_in_words(error, run)}"
    return f"in MLflow, too: run {known}, {folder}"


def flat(values: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """Nested keys as dotted ones, and every value as text of a length that MLflow takes."""
    found: dict[str, str] = {}
    for key, value in values.items():
        found |= flat(value, f"{above}{key}.") if isinstance(value, dict) else {above + key: str(value)[:_LONGEST]}
    return found


def _new(settings: Mapping[str, str], before: Mapping[str, str], photos: int) -> dict[str, str]:
    """What the run does not say of itself yet; MLflow changes no parameter, so what is another now gets a name of its own."""
    changed = {f"{key} from {photos} photos": value for key, value in settings.items() if before.get(key, value) != value}
    return {key: value for key, value in (dict(settings) | changed).items() if key not in before}


def _known(run: Path) -> str:
    """The id of the run in MLflow; empty if it was not followed so far."""
    try:
        return str(json.loads((run / ID).read_text())["run_id"])
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{run / ID} cannot be read ({error!r}): delete it to follow this run as a new one") from error


def _in_words(error: Exception, run: Path) -> str:
    reason = " ".join(str(error).split())[:300]
    return f"{reason}: set MLFLOW_TRACKING_URI to where {run / ID} says, or delete that file to follow this run as a new one"


def _mlflow() -> Any:
    """The package, None where it is not installed."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        import mlflow
    except ImportError:
        return None
    return mlflow
