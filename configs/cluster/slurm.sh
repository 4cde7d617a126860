#!/bin/bash
# A run on the nodes of one Slurm job (docs/clusters.md, "Slurm"):
#
#     RECIPE=swallow-v2 INPUT='/data/warc/*.warc.gz' OUT=/data/runs/mine sbatch slurm.sh
#
# Give it again when its time was too short: what is done stays done.
#SBATCH --job-name=kamisuki
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --output=%x-%j.out
set -euo pipefail

: "${RECIPE:?name a recipe}" "${INPUT:?name the inputs}" "${OUT:?name the folder of the run}"
# The environment that has kamisuki, under the same path on every node; without it, what is on PATH.
export PATH="${KAMISUKI_ENVIRONMENT:+$KAMISUKI_ENVIRONMENT/bin:}$PATH"

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address="$head:$((20000 + SLURM_JOB_ID % 10000))"

# Whoever has not this token cannot run programs through the job's Ray; srun hands it to the nodes.
RAY_AUTH_TOKEN=$(head -c 32 /dev/urandom | sha256sum | cut -c 1-64)
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=600

# Paths, not data, travel between tasks: a small object store leaves the memory to the tasks.
srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 --cpu-bind=none \
  ray symmetric-run --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES" --object-store-memory=200000000 \
  -- kamisuki run "$RECIPE" --input "$INPUT" --out "$OUT" --ray-address "$address"
