#!/usr/bin/env bash
# A head that is solved against one that is trained for 20 epochs, on frozen features: 3 tasks, 4 sizes, 10 draws of the
# labelled images, validated on a fifth of the training part and not at all; then the table and the figure. Stopped,
# the same command goes on: what has finished is not run again.
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

# A seed chooses the labelled images, and what validates, too.
DRAWS=('seed=0,1,2,3,4,5,6,7,8,9' 'data.split_seed=${seed}' freeze=frozen logger=none callbacks=checkpoint)
sweep() { # TASK WAY WORDS...
  local folder=$RUNS/$1/$2 where
  [ -e "$folder.done" ] && return
  echo "$1, $2"
  mkdir -p "$RUNS/$1"
  where=hydra.sweep.dir=$folder
  [ -e "$folder/sweep.yaml" ] && where="sweep.resume=$folder"
  "$GRAFT" train -m "${DRAWS[@]}" "${@:3}" "$where" >"$folder.log" 2>&1
  touch "$folder.done"
}
ways() { # TASK SHOTS WORDS...
  # calibrate=true measures before and after a temperature.
  sweep "$1" solved "data.shots=$2" calibrate=true "${@:3}"
  sweep "$1" trained "data.shots=$2" calibrate=true optimizer=adamw "${@:3}"
  sweep "$1" solved-unvalidated "data.shots=$2" data.val_fraction=0 "${@:3}"
  sweep "$1" trained-unvalidated "data.shots=$2" data.val_fraction=0 optimizer=adamw "${@:3}"
}
ways photos 1,5,20,90 data=image_folder "data.root=$DATA" backbone=squeezenet1_0 "backbone.weights=$WEIGHTS"
ways digits 1,5,20,80 data=digits data.test_fraction=0.4 backbone=simple_cnn "backbone.weights=$RUNS/source-glyphs"
ways cifar10 1,5,20,100 data=image_folder "data.root=$RUNS/cifar10-target" backbone=simple_cnn \
  "backbone.weights=$RUNS/source-cifar10"
"$PYTHON" experiments/solved-head/report.py "$RUNS"
