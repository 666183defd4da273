"""CI's endpoints: jobs, queues, templates, and CI's published rules."""
