"""Reading jobs: their stored fields, the record made of these, and lists."""
