"""What Lightning calls while a run trains: checkpoints, the moving average, progress."""
