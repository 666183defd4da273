"""The little of COS: objects in buckets."""
