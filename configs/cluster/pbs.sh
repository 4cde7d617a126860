#!/bin/bash
# A run on the nodes of one job of PBS or Grid Engine (docs/clusters.md, "PBS and Grid Engine"):
#
#     qsub -v RECIPE=swallow-v2,INPUT=/data/warc.paths,OUT=/data/runs/mine pbs.sh
#
# Give it again when its time was too short: what is done stays done. Queue, group and kind of node are the site's.
#PBS -N kamisuki
#PBS -l select=4:mpiprocs=1
#PBS -l walltime=24:00:00
#PBS -j oe
#$ -N kamisuki
#$ -l h_rt=24:00:00
#$ -cwd
#$ -j y
set -euo pipefail
cd "${PBS_O_WORKDIR:-$PWD}"

: "${RECIPE:?name a recipe}" "${INPUT:?name the inputs}" "${OUT:?name the folder of the run}"
# The environment that has kamisuki, under the same path on every node; without it, what is on PATH.
export PATH="${KAMISUKI_ENVIRONMENT:+$KAMISUKI_ENVIRONMENT/bin:}$PATH"

hosts=$(awk '!seen[$1]++ { print $1 }' "${PBS_NODEFILE:-${PE_HOSTFILE:?neither PBS nor Grid Engine started this}}")
count=$(wc -l <<< "$hosts")
job=${PBS_JOBID:-$JOB_ID}
address="$(head -n 1 <<< "$hosts"):$((20000 + ${job%%[!0-9]*} % 10000))"

# pbsdsh hands no environment on: what a node needs stands in a file that nobody else can read, and that goes at the end.
umask 077
node=$(mktemp "$PWD/.kamisuki-XXXXXXXX")
trap 'rm -f "$node" "$node.code"' EXIT
token=$(head -c 32 /dev/urandom | sha256sum | cut -c 1-64)
{
  # Whoever has not this token cannot run programs through the job's Ray.
  printf 'export PATH=%q RAY_AUTH_MODE=token RAY_AUTH_TOKEN=%q RAY_USAGE_STATS_ENABLED=0\n' "$PATH" "$token"
  printf 'export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=600\ncd %q\n' "$PWD"
  # Paths, not data, travel between tasks: a small object store leaves the memory to the tasks. The exit code is written
  # down where the run is, since not every starter hands it on.
  printf 'exec ray symmetric-run --address %q --min-nodes %q --object-store-memory=200000000 -- ' "$address" "$count"
  # shellcheck disable=SC2016
  printf '%q ' bash -c 'file=$1; shift; code=0; "$@" || code=$?; echo "$code" > "$file"; exit "$code"' bash "$node.code"
  printf '%q ' kamisuki run "$RECIPE" --input "$INPUT" --out "$OUT" --ray-address "$address"
} > "$node"

# One process a node: by PBS itself, else by MPI. A site with another way names it in START.
if [ -n "${START:-}" ]; then
  read -r -a start <<< "$START"
elif [ -n "${PBS_NODEFILE:-}" ]; then
  start=(pbsdsh --)
else
  start=(mpirun --host "$(paste -s -d , <<< "$hosts")" --map-by ppr:1:node)
fi
"${start[@]}" bash "$node" || true
exit "$(cat "$node.code" 2> /dev/null || echo 1)"
