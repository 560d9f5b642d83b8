#!/usr/bin/env bash
# The whole study: sources, tasks, the search, the final runs and the tables. Stopped, the same command goes on.
#   PHOTOS=hymenoptera CIFAR10=cifar10 DIGITS=digit_domains.npz SQUEEZENET=squeezenet1_0.pth bash experiments/fine-tuning/run.sh
# FASTAI=/path/to/python, of an environment with Graft and fastai, adds fastai's runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
STUDY=experiments/fine-tuning
RUNS=${RUNS:-outputs/fine-tuning}
GRAFT=${GRAFT:-.venv/bin/graft}
PYTHON=${PYTHON:-.venv/bin/python}
DRAWS=${DRAWS:-0,1,2}
FINAL_DRAWS=${FINAL_DRAWS:-0,1,2,3,4}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} PYTHONPATH=$STUDY${PYTHONPATH:+:$PYTHONPATH}

mkdir -p "$RUNS"/sources "$RUNS"/cifar10-source/{train,test}
for part in train test; do
  for class in airplane automobile bird cat deer; do
    ln -sfn "$(realpath "$CIFAR10/$part/$class")" "$RUNS/cifar10-source/$part/$class"
  done
done
ln -sf "$(realpath "$SQUEEZENET")" "$RUNS/sources/squeezenet1_0.pth"

source_network() { # NAME WORDS...: a small network for a backbone, once
  [ -e "$RUNS/sources/$1.done" ] && return
  rm -rf "${RUNS:?}/sources/$1"
  "$GRAFT" train --config-dir $STUDY/conf "${@:2}" trainer=cpu logger=none test=false \
    "hydra.run.dir=$RUNS/sources/$1"
  touch "$RUNS/sources/$1.done"
}
FROM_CIFAR=(data=image_folder "data.root=$RUNS/cifar10-source" data.batch_size=64 augment=crop augment.crop_padding=4)
source_network glyphs data=glyphs data.batch_size=100 trainer.max_epochs=8 backbone=simple_cnn
source_network cifar10 "${FROM_CIFAR[@]}" trainer.max_epochs=10 backbone=simple_cnn
source_network resnet "${FROM_CIFAR[@]}" data.fraction=0.6 data.val_fraction=0.05 trainer.max_epochs=8 \
  backbone=small_resnet optimizer.lr=2e-3 optimizer.head_lr=2e-3

[ -d "$RUNS/tasks/final" ] || "$PYTHON" $STUDY/tasks.py "$RUNS/tasks" "$PHOTOS" "$CIFAR10" "$DIGITS"

"$PYTHON" $STUDY/search.py rates,large_rates,rest,norms "$RUNS/tasks" "$RUNS/sources" "$RUNS/search.jsonl" \
  --draws "$DRAWS" --commit "$(git rev-parse --short HEAD)"
"$PYTHON" $STUDY/graft_runs.py final "$RUNS/tasks" "$RUNS/sources" "$RUNS" --draws "$FINAL_DRAWS"
if [ -n "${FASTAI:-}" ]; then
  for batch in 64 32 8; do
    "$FASTAI" $STUDY/peer.py final "$RUNS/tasks" "$RUNS/sources" "$RUNS" --draws "$FINAL_DRAWS" --batch $batch
  done
fi
"$PYTHON" $STUDY/tuning_report.py "$RUNS"
