"""The products of a job: its files, CI's ``MediaInfo`` of them, and its result."""
