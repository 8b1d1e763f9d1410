"""A model server on GPUs: one replica per GPU, one generation at a time by default, autoscaled on ongoing requests.

The figures are guesses for a small language model on one data-centre GPU: 20 s to load, generations of 0.35 s in the
median with a tail.
"""

from __future__ import annotations

from rayrig_core.objects import JsonObject
from rayrig_sim.calibration import Distribution, LogNormal
from rayrig_sim.serve.application_code import ApplicationCode, DeploymentCode

IMPORT_PATH = "gpu_inference.app"

MODEL_LOAD = LogNormal(20.0, 0.1)
GENERATION = LogNormal(0.35, 0.6)


def application(
    generation: Distribution = GENERATION,
    model_load: Distribution = MODEL_LOAD,
    *,
    concurrency: int = 1,
    gpus: float = 1,
    import_path: str = IMPORT_PATH,
) -> ApplicationCode:
    """`concurrency` generations run at a time on a replica; further accepted requests wait for the GPU in order."""
    options: JsonObject = {
        "max_ongoing_requests": 5,
        "ray_actor_options": {"num_cpus": 1, "num_gpus": gpus},
        "autoscaling_config": {"min_replicas": 1, "max_replicas": 4, "target_ongoing_requests": 2},
    }
    model = DeploymentCode(
        "Model",
        generation,
        result={"text": "a bear is eating mangos"},
        startup=model_load,
        concurrency=concurrency,
        options=options,
    )
    return ApplicationCode(import_path, "Model", {"Model": model})
