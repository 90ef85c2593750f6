#!/bin/bash
#SBATCH --job-name=orientd
#SBATCH --array=1-16
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --requeue
#SBATCH --output=%x-%a.log
# sbatch docs/many-machines/slurm.sh /photos /photos/.plans
set -eu
library=$1 plans=$2
mkdir -p "$plans"
# The state of a part is this task's own: SQLite is not for folders that several machines have open.
state=$(mktemp -d "${TMPDIR:-/tmp}/orientd.XXXXXX")
trap 'rm -rf "$state"' EXIT
code=0
orientd scan "$library" --shard env/16 --report "$plans" --overwrite --quiet \
    --workers "${SLURM_CPUS_PER_TASK:-0}" --state-dir "$state" || code=$?
[ "$code" -eq 3 ] || exit "$code" # 3: some photos could not be read, which the plan tells
