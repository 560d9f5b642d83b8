"""Where a run's numbers go: TensorBoard, a row an epoch, a row a step."""
