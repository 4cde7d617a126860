"""Hold Ray Serve configurations against Ray's own schemas; runs in an environment with ray[serve], without vLLM.

    build/ray-serve/bin/python benchmarks/serve_config.py configs/cluster/vllm-serve.yaml …

Prints for each file, as a line of JSON, the models that it would serve with the GPUs of a replica, or what is wrong.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml
from ray.serve.schema import DeploymentSchema, ServeApplicationSchema, ServeDeploySchema


def check(text: str) -> dict[str, Any]:
    """The port and the models of a configuration. Raises ValueError for one that Ray would refuse or misread."""
    # Of Ray's inner parts, since ray.serve.llm imports vLLM.
    from ray.llm._internal.serve.core.configs.llm_config import LLMConfig

    given = yaml.safe_load(text)
    read = ServeDeploySchema.model_validate(given)
    # Ray takes no notice of words that it does not know in these places.
    unknown = set(given) - set(ServeDeploySchema.model_fields)
    models = {}
    for place, application in enumerate(read.applications):
        unknown |= set(given["applications"][place]) - set(ServeApplicationSchema.model_fields)
        for written in application.args["llm_configs"]:
            config = LLMConfig.model_validate(written)
            unknown |= set(config.deployment_config) - set(DeploymentSchema.model_fields)
            models[config.model_id] = config.engine_kwargs.get("tensor_parallel_size", 1)
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    return {"port": read.http_options.port, "models": models}


def main() -> None:
    for name in sys.argv[1:]:
        try:
            print(json.dumps(check(Path(name).read_text(encoding="utf-8"))))
        except ValueError as error:
            print(json.dumps({"error": str(error)}))


if __name__ == "__main__":
    main()
