"""The part of COS that media jobs need: objects in buckets."""
