"""Tests of days as shards."""
