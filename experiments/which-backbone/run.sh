#!/usr/bin/env bash
# Two small networks on source tasks, every backbone fine-tuned on DATA over 3 seeds, then the ranking beside them.
# Finished parts are not run again.
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
once source-cifar10 $GRAFT train data=image_folder "data.root=$CIFAR10" backbone=simple_cnn \
  trainer.max_epochs=8 data.batch_size=64 "hydra.run.dir=$CIFAR"
once source-glyphs $GRAFT train data=glyphs backbone=simple_cnn "hydra.run.dir=$GLYPHS"

fine_tune() { # NAME BACKBONE WEIGHTS
  for seed in 0 1 2; do
    once "$1-$seed" $GRAFT train data=image_folder "data.root=$DATA" "backbone=$2" "backbone.weights=$3" \
      freeze=full "seed=$seed" trainer.max_epochs=10 "hydra.run.dir=$RUNS/fine-tuned/$1-$seed"
  done
}
fine_tune simple_cnn-cifar10 simple_cnn "$CIFAR"
fine_tune simple_cnn-glyphs simple_cnn "$GLYPHS"
fine_tune simple_cnn-untrained simple_cnn null
fine_tune squeezenet-imagenet squeezenet1_0 "$WEIGHTS"
fine_tune squeezenet-untrained squeezenet1_0 null

rm -rf "$RUNS/ranking"
$GRAFT rank data=image_folder "data.root=$DATA" 'backbones=[squeezenet1_0, simple_cnn]' \
  "weights.squeezenet1_0=[$WEIGHTS, null]" "weights.simple_cnn=[$CIFAR, $GLYPHS, null]" \
  "runs=$RUNS/fine-tuned" "hydra.run.dir=$RUNS/ranking"
cp "$RUNS"/ranking/{rank.csv,correlations.csv,figure.png} experiments/which-backbone/
