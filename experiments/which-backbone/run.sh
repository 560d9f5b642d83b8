#!/usr/bin/env bash
# Two small networks on source tasks, backbones fine-tuned on DATA and on digits over 3 seeds, the rankings beside
# them. Finished runs are not run again.
#   DATA=photos CIFAR10=cifar10 WEIGHTS=squeezenet1_0.pth bash experiments/which-backbone/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
RUNS=${RUNS:-outputs/which-backbone}
GRAFT=${GRAFT:-.venv/bin/graft}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

mkdir -p "$RUNS"
once() { # NAME COMMAND...: run it unless it has ended well before
  local name=$1
  shift
  [ -e "$RUNS/$name.done" ] && return
  echo "$name"
  "$@" >"$RUNS/$name.log" 2>&1
  touch "$RUNS/$name.done"
}

CIFAR=$RUNS/source-cifar10 GLYPHS=$RUNS/source-glyphs
once source-cifar10 "$GRAFT" train data=image_folder "data.root=$CIFAR10" backbone=simple_cnn \
  trainer.max_epochs=8 data.batch_size=64 "hydra.run.dir=$CIFAR"
once source-glyphs "$GRAFT" train data=glyphs backbone=simple_cnn "hydra.run.dir=$GLYPHS"

fine_tune() { # NAME BACKBONE WEIGHTS DATA...
  local name=$1 backbone=$2 weights=$3
  shift 3
  for seed in 0 1 2; do
    once "$name-$seed" "$GRAFT" train "$@" "backbone=$backbone" "backbone.weights=$weights" freeze=full \
      "seed=$seed" trainer.max_epochs=10 "hydra.run.dir=$RUNS/fine-tuned/$name-$seed"
  done
}
PHOTOS=(data=image_folder "data.root=$DATA")
fine_tune simple_cnn-cifar10 simple_cnn "$CIFAR" "${PHOTOS[@]}"
fine_tune simple_cnn-glyphs simple_cnn "$GLYPHS" "${PHOTOS[@]}"
fine_tune simple_cnn-untrained simple_cnn null "${PHOTOS[@]}"
fine_tune squeezenet-imagenet squeezenet1_0 "$WEIGHTS" "${PHOTOS[@]}"
fine_tune squeezenet-untrained squeezenet1_0 null "${PHOTOS[@]}"
fine_tune digits-cifar10 simple_cnn "$CIFAR" data=digits
fine_tune digits-glyphs simple_cnn "$GLYPHS" data=digits
fine_tune digits-untrained simple_cnn null data=digits

rank() { # NAME DATA...
  local name=$1
  shift
  rm -rf "$RUNS/ranking-$name"
  "$GRAFT" rank "$@" "weights.squeezenet1_0=[$WEIGHTS, null]" "weights.simple_cnn=[$CIFAR, $GLYPHS, null]" \
    "runs=$RUNS/fine-tuned" "hydra.run.dir=$RUNS/ranking-$name"
  # Without the third column, the weights' paths.
  cut -d, -f1-2,4- "$RUNS/ranking-$name/rank.csv" >"experiments/which-backbone/$name.csv"
  cp "$RUNS/ranking-$name/figure.png" "experiments/which-backbone/$name.png"
}
rank photos "${PHOTOS[@]}" 'backbones=[squeezenet1_0, simple_cnn]'
rank digits data=digits 'backbones=[squeezenet1_0, simple_cnn]'
