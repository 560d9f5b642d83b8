"""What a test says: metrics and their intervals, calibration, what a model answered, and figures of it."""
