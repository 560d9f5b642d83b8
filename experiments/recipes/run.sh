#!/usr/bin/env bash
# Class weights on imbalanced images: five draws, frozen and fine-tuned, with and without; then the tables.
#   CIFAR10=cifar10 SOURCE=run-folder CURVES=finetuning_curves bash experiments/recipes/run.sh
# SOURCE is the run of experiments/overfitting that learnt CIFAR-10's other five classes; CURVES holds Quick-Tune's
# tasks.csv, runs.csv and curves.csv.
set -euo pipefail
cd "$(dirname "$0")/../.."
RUNS=${RUNS:-outputs/recipes}
GRAFT=${GRAFT:-.venv/bin/graft}
PYTHON=${PYTHON:-.venv/bin/python}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
mkdir -p "$RUNS"
RUNS=$(realpath "$RUNS")
[ -e "$RUNS/lists" ] || "$PYTHON" experiments/recipes/imbalance.py "$RUNS" "$CIFAR10"
where=hydra.sweep.dir=$RUNS/runs
[ -e "$RUNS/runs/sweep.yaml" ] && where="sweep.resume=$RUNS/runs"
"$GRAFT" train -m data=csv "data.file=$RUNS/lists/\${seed}.csv" backbone=simple_cnn "backbone.weights=$SOURCE" \
  optimizer=adamw freeze=frozen,full loss.class_weights=null,balanced seed=0,1,2,3,4 'data.split_seed=${seed}' \
  threads=1 logger=none callbacks=checkpoint "$where"
"$PYTHON" experiments/recipes/recipes_report.py "$RUNS" "$CURVES"
