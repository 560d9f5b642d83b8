#!/usr/bin/env bash
# A head that is solved against one that is trained for 20 epochs, on frozen features: 3 tasks, 7 sizes, 10 draws of the
# labelled images, validated on a fifth of the training part and not at all; then the table and the figure. Stopped,
# the same command goes on, task by task.
#   DATA=photos CIFAR10=cifar10 WEIGHTS=squeezenet1_0.pth bash experiments/solved-head/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
RUNS=${RUNS:-outputs/solved-head}
GRAFT=${GRAFT:-.venv/bin/graft}
PYTHON=${PYTHON:-.venv/bin/python}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

# Two tasks out of one: the first five of CIFAR-10's classes, in alphabetical order, and 200 + 200 images of the others.
for class in airplane automobile bird cat deer; do
  for part in train test; do
    mkdir -p "$RUNS/cifar10-source/$part"
    ln -sfn "$(realpath "$CIFAR10/$part/$class")" "$RUNS/cifar10-source/$part/$class"
  done
done
for class in dog frog horse ship truck; do
  for part in train test; do
    mkdir -p "$RUNS/cifar10-target/$part/$class"
    find "$(realpath "$CIFAR10/$part/$class")" -name '*.jpg' | sort | sed -n '1,200p' |
      xargs -I{} ln -sf {} "$RUNS/cifar10-target/$part/$class/"
  done
done

source_network() { # NAME DATA...: a small network for the backbone, once
  [ -e "$RUNS/$1.done" ] && return
  echo "$1"
  rm -rf "${RUNS:?}/$1"
  "$GRAFT" train "${@:2}" backbone=simple_cnn "hydra.run.dir=$RUNS/$1" >"$RUNS/$1.log" 2>&1
  touch "$RUNS/$1.done"
}
source_network source-glyphs data=glyphs data.batch_size=100 trainer.max_epochs=8
source_network source-cifar10 data=image_folder "data.root=$RUNS/cifar10-source" data.batch_size=64 \
  trainer.max_epochs=10

features() { # TASK WORDS...: what the frozen backbone gives for every image, once
  [ -e "$RUNS/$1/features.csv" ] || "$GRAFT" extract "${@:2}" "hydra.run.dir=$RUNS/$1"
}
features photos data=image_folder "data.root=$DATA" backbone=squeezenet1_0 "backbone.weights=$WEIGHTS"
features digits "run=$RUNS/source-glyphs" data=digits data.test_fraction=0.4
features cifar10 "run=$RUNS/source-cifar10" data=image_folder "data.root=$RUNS/cifar10-target"
for task in photos digits cifar10; do
  [ -e "$RUNS/$task.csv" ] || "$PYTHON" experiments/solved-head/draws.py "$RUNS/$task" &
done
wait
"$PYTHON" experiments/solved-head/solved_head.py "$RUNS"
