"""The part on several hosts. ``chaos.__main__`` starts ``python -m chaos.hosts`` inside ``chaos.hosts.namespaces``."""

TITLE = "several hosts"
LOST = "traces are in"
