#!/usr/bin/env bash
# Accuracy against labelled images a class: from scratch, frozen and fine-tuned, 5 seeds, on three pairs of source and
# target; then the table and the figure. Stopped, the same command goes on: what has finished is not run again.
#   DATA=photos CIFAR10=cifar10 WEIGHTS=squeezenet1_0.pth bash experiments/few-shot/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
RUNS=${RUNS:-outputs/few-shot}
GRAFT=${GRAFT:-.venv/bin/graft}
PYTHON=${PYTHON:-.venv/bin/python}
JOBS=${JOBS:-2}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} # sweeps run side by side, so each gets one core

# Two tasks out of one: the first five of CIFAR-10's classes, in alphabetical order, and the other five.
SOURCE_CLASSES=(airplane automobile bird cat deer) TARGET_CLASSES=(dog frog horse ship truck)
for part in train test; do
  mkdir -p "$RUNS"/cifar10-{source,target}/$part
  for class in "${SOURCE_CLASSES[@]}"; do
    ln -sfn "$(realpath "$CIFAR10/$part/$class")" "$RUNS/cifar10-source/$part/$class"
  done
  for class in "${TARGET_CLASSES[@]}"; do
    ln -sfn "$(realpath "$CIFAR10/$part/$class")" "$RUNS/cifar10-target/$part/$class"
  done
done

at_most() { # N: wait until fewer than N run
  while [ "$(jobs -rp | wc -l)" -ge "$1" ]; do wait -n; done
}

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

# A seed chooses the labelled images too. Nothing is validated, so the last weights are tested. A run ends with its
# steps: max_epochs only has to be enough for the smallest sets, of which a step is an epoch.
FEW=('data.shots=1,3,10,30,100' 'seed=0,1,2,3,4' 'data.split_seed=${seed}' data.val_fraction=0 callbacks=none)
sweep() { # PAIR WAY STEPS WORDS...
  local folder=$RUNS/$1/$2 where
  [ -e "$folder.done" ] && return
  at_most "$JOBS"
  echo "$1, $2"
  mkdir -p "$RUNS/$1"
  where=hydra.sweep.dir=$folder
  [ -e "$folder/sweep.yaml" ] && where="sweep.resume=$folder"
  (
    "$GRAFT" train -m "${FEW[@]}" "trainer.max_steps=$3" "trainer.max_epochs=$3" "${@:4}" "$where" >"$folder.log" 2>&1
    touch "$folder.done"
  ) &
}
ways() { # PAIR STEPS WEIGHTS WORDS...
  sweep "$1" fine-tuned "$2" freeze=full "backbone.weights=$3" "${@:4}"
  sweep "$1" scratch "$2" freeze=full backbone.weights=null "${@:4}"
  sweep "$1" frozen "$2" freeze=frozen "backbone.weights=$3" "${@:4}"
}
ways digits 500 "$RUNS/source-glyphs" data=digits data.test_fraction=0.4 data.batch_size=20 backbone=simple_cnn
ways cifar10 500 "$RUNS/source-cifar10" data=image_folder "data.root=$RUNS/cifar10-target" data.batch_size=20 \
  backbone=simple_cnn
ways photos 50 "$WEIGHTS" data=image_folder "data.root=$DATA" data.batch_size=10 backbone=squeezenet1_0
at_most 1
"$PYTHON" experiments/few-shot/few_shot.py "$RUNS"
