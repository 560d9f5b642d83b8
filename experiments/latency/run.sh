#!/usr/bin/env bash
# Every listed CNN at its own size, random weights, as torch runs it and as onnxruntime does.
#
#     experiments/latency/run.sh PHOTOS outputs/latency
#
# PHOTOS is a folder with image files, which are timed from the file on. A network that is there is not made again.
set -euo pipefail
photos=$1 to=$2
names=${NAMES:-resnet18 resnet50 vgg16 squeezenet1_0 mobilenet_v3_small densenet121 googlenet inception_v3 \
  efficientnet_b0 efficientnet_lite0 convnext_tiny}
for name in $names; do
  [ -e "$to/runs/$name/model/model.yaml" ] || .venv/bin/graft train data=digits data.shots=3 data.val_fraction=0.02 backbone="$name" backbone.weights=null \
    freeze=frozen trainer=cpu logger=none test=false hydra.run.dir="$to/runs/$name"
done
for name in $names; do
  [ -e "$to/$name/latency.csv" ] || .venv/bin/graft latency runs="$to/runs/$name" engine=[torch,onnx] source="$photos" \
    batch_size=1 threads=1 hydra.run.dir="$to/$name"
done
