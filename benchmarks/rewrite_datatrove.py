"""One worker of datatrove's InferenceRunner with an endpoint server; runs in datatrove's own environment.

    python benchmarks/rewrite_datatrove.py URL REQUESTS IN_FLIGHT TEXT_FILE [FOLDER]

With FOLDER it keeps its checkpoints and its request cache there, which is what lets it resume. Prints as JSON how many
documents were written, and the seconds, of the clock and of the processor, from the first request to the last answer.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner
from datatrove.pipeline.writers import JsonlWriter
from loguru import logger


def main() -> None:
    url, requests, in_flight = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    text = Path(sys.argv[4]).read_text(encoding="utf-8")
    folder = sys.argv[5] if len(sys.argv) > 5 else None
    logger.remove()
    clock: dict[str, float] = {}

    async def rollout(document: Document, generate: Any) -> str:
        clock.setdefault("wall", time.perf_counter())
        clock.setdefault("cpu", time.process_time())
        message = {"role": "user", "content": document.text}
        result = await generate({"messages": [message], "temperature": 0.2, "max_tokens": 1_024, "seed": 1})
        clock["wall_end"], clock["cpu_end"] = time.perf_counter(), time.process_time()
        return str(result.text)

    out = Path(folder or sys.argv[4]).with_suffix(".out")
    runner = InferenceRunner(
        rollout,
        InferenceConfig(
            server_type="endpoint",
            model_name_or_path="instant",
            endpoint_url=url,
            api_key="none",
            max_concurrent_generations=in_flight,
            metric_interval=3_600,
        ),
        JsonlWriter(str(out), output_filename="${rank}_${chunk_index}.jsonl", compression=None),
        checkpoints_local_dir=folder,
    )
    runner.run(Document(text=f"{n} {text}", id=f"{n}") for n in range(requests))
    written = sum(file.read_bytes().count(b"\n") for file in out.glob("*.jsonl"))
    wall, cpu = clock["wall_end"] - clock["wall"], clock["cpu_end"] - clock["cpu"]
    print(json.dumps({"answered": written, "wall": wall, "cpu": cpu}))


if __name__ == "__main__":
    main()
