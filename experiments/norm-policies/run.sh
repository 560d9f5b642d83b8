#!/usr/bin/env bash
# The whole study: manifests, 5 draws of 3 tasks with 8 arms, tables and figure. Stopped, the same command goes on.
#   PHOTOS=hymenoptera CIFAR10=cifar10 SMEARS=blood_cells bash experiments/norm-policies/run.sh
# Wants the extras `timm` and `imagenet`.
set -euo pipefail
cd "$(dirname "$0")/../.."
TASKS=${TASKS:-outputs/lite/tasks}
PYTHON=${PYTHON:-.venv/bin/python}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} PYTHONPATH=experiments/fine-tuning${PYTHONPATH:+:$PYTHONPATH}

[ -d "$TASKS" ] || "$PYTHON" experiments/fine-tuning/lite_tasks.py "$TASKS" "$PHOTOS" "$CIFAR10" "$SMEARS"
"$PYTHON" experiments/norm-policies/norm_policies.py "$TASKS"
"$PYTHON" experiments/norm-policies/moved.py "$TASKS"
