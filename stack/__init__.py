"""Everything on one machine, for ``make run``: an embedded Redis, the service, and the emulator of CI."""
