"""Jobs: storing reports, indexes, doubts, retention."""
