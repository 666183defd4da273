"""Playable media: the outputs of the emulator's jobs."""
