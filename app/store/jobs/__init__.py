"""Jobs: taking reports in, reading, indexes, doubts, retention."""
