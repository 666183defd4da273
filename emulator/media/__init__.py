"""Media that plays: what the jobs of the emulator write."""
