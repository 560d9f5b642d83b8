#!/usr/bin/env bash
# What each remedy against overfitting is worth at 5, 20 and 100 labels a class, frozen and fine-tuned, draw by draw;
# then the table and the figure. Stopped, the same command goes on: what has finished is not run again.
#   DATA=photos CIFAR10=cifar10 WEIGHTS=squeezenet1_0.pth bash experiments/overfitting/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
RUNS=${RUNS:-outputs/overfitting}
GRAFT=${GRAFT:-.venv/bin/graft}
PYTHON=${PYTHON:-.venv/bin/python}
DRAWS=${DRAWS:-4}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
mkdir -p "$RUNS"
RUNS=$(realpath "$RUNS")

[ -e "$RUNS/photos/100-0.csv" ] || "$PYTHON" experiments/overfitting/overfitting_draws.py "$RUNS" "$CIFAR10" "$DATA"
# The source of cifar10's five classes: the other five.
for part in train test; do
  mkdir -p "$RUNS/cifar10-source/$part"
  for class in airplane automobile bird cat deer; do
    ln -sfn "$(realpath "$CIFAR10/$part/$class")" "$RUNS/cifar10-source/$part/$class"
  done
done
source_network() { # NAME DATA...: a small network for the backbone, once
  [ -e "$RUNS/$1/model" ] && return
  rm -rf "${RUNS:?}/$1"
  "$GRAFT" train "${@:2}" backbone=simple_cnn "hydra.run.dir=$RUNS/$1" >"$RUNS/$1.log" 2>&1
}
source_network source-glyphs data=glyphs data.batch_size=100 trainer.max_epochs=8
source_network source-cifar10 data=image_folder "data.root=$RUNS/cifar10-source" data.batch_size=64 \
  trainer.max_epochs=10

BOTH=plain,decay_1,smoothing,mlp,dropout,holdout,early_stopping
FULL=$BOTH,l2_sp,crop,epochs_10
SOLVED=solved_0.001,solved_0.01,solved_0.1
FROZEN=$BOTH,epochs_20,$SOLVED
sweep() { # NAME COMMAND TARGET DRAW WORDS...: one draw, of all numbers of labels
  local folder=$RUNS/$1-$4 files where
  [ -e "$folder.done" ] && return
  echo "$1, draw $4"
  files=$(printf "$RUNS/$3/%s-$4.csv," 5 20 100)
  where=hydra.sweep.dir=$folder
  if [ "$2" = crossval ]; then
    rm -rf "$folder"
  elif [ -e "$folder/sweep.yaml" ]; then
    where="sweep.resume=$folder"
  fi
  "$GRAFT" "$2" -m --config-dir experiments/overfitting/conf data=csv "data.file=${files%,}" "seed=$4" \
    "data.split_seed=$4" "${@:5}" "$where" >"$folder.log" 2>&1
  touch "$folder.done"
}
PHOTOS=(backbone=squeezenet1_0 "backbone.weights=$WEIGHTS")
DIGITS=(backbone=simple_cnn "backbone.weights=$RUNS/source-glyphs")
OTHERS=(backbone=simple_cnn "backbone.weights=$RUNS/source-cifar10")
for ((draw = 0; draw < DRAWS; draw++)); do
  sweep frozen-cifar10 train cifar10 "$draw" freeze=frozen "experiment=$FROZEN" "${OTHERS[@]}"
  sweep full-digits train digits "$draw" freeze=full "experiment=$FULL" "${DIGITS[@]}"
  sweep full-cifar10 train cifar10 "$draw" freeze=full "experiment=$FULL" "${OTHERS[@]}"
  sweep frozen-digits train digits "$draw" freeze=frozen "experiment=$FROZEN" "${DIGITS[@]}"
done
for ((draw = 0; draw < DRAWS; draw++)); do
  sweep frozen-photos train photos "$draw" freeze=frozen "experiment=$FROZEN" "${PHOTOS[@]}"
  # What chooses λ: five folds of the training images, or a fifth of them held back.
  sweep folds-photos crossval photos "$draw" freeze=frozen "experiment=$SOLVED" "${PHOTOS[@]}"
  sweep fifth-photos train photos "$draw" freeze=frozen "experiment=$SOLVED" data.val_fraction=0.2 "${PHOTOS[@]}"
  sweep folds-cifar10 crossval cifar10 "$draw" freeze=frozen "experiment=$SOLVED" "${OTHERS[@]}"
  sweep fifth-cifar10 train cifar10 "$draw" freeze=frozen "experiment=$SOLVED" data.val_fraction=0.2 "${OTHERS[@]}"
done
"$PYTHON" experiments/overfitting/overfitting_report.py "$RUNS"
"$PYTHON" experiments/overfitting/choosing.py "$RUNS"
