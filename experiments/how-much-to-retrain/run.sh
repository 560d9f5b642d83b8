#!/usr/bin/env bash
# Every freeze strategy over 5 seeds, then the table and the figure. Finished strategies are not run again.
#   DATA=photos WEIGHTS=squeezenet1_0.pth bash experiments/how-much-to-retrain/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
RUNS=${RUNS:-outputs/how-much-to-retrain}
GRAFT=${GRAFT:-.venv/bin/graft}
JOBS=${JOBS:-2}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} # strategies run side by side, so each gets one core

declare -A WAYS=(
  [frozen]="freeze=frozen"
  [bias_only]="freeze=bias_only optimizer.lr=1e-3"
  [lora]="freeze=lora optimizer.lr=1e-3"
  [custom]="freeze=custom freeze.rules=[{pattern:'*.squeeze.*',trains:true},{pattern:'*',trains:false}]"
  [last_k]="freeze=last_k freeze.k=1"
  [lp_ft]="freeze=lp_ft freeze.epochs=5"
  [freeze_unfreeze]="freeze=freeze_unfreeze freeze.at=3"
  [gradual]="freeze=gradual freeze.every=2"
  [full]="freeze=full"
)
ORDER=(frozen full lp_ft last_k gradual lora freeze_unfreeze bias_only custom)

mkdir -p "$RUNS"
for way in "${ORDER[@]}"; do
  [ -e "$RUNS/$way/done" ] && continue
  while [ "$(jobs -rp | wc -l)" -ge "$JOBS" ]; do wait -n; done
  echo "$way: ${WAYS[$way]}"
  (
    # shellcheck disable=SC2086
    "$GRAFT" train -m data=image_folder "data.root=$DATA" backbone=squeezenet1_0 "backbone.weights=$WEIGHTS" \
      ${WAYS[$way]} seed=0,1,2,3,4 trainer.max_epochs=10 "hydra.sweep.dir=$RUNS/$way" >"$RUNS/$way.log" 2>&1
    touch "$RUNS/$way/done"
  ) &
done
wait
.venv/bin/python experiments/how-much-to-retrain/report.py "$RUNS"
