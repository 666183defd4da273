"""CI's endpoints: jobs, queues, templates, and the rules that it applies."""
