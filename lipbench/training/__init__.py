"""Training: the networks, initialised and wrapped, and the loop of updates."""
