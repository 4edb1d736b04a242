"""What training takes: seconds, memory, energy, parameters."""
