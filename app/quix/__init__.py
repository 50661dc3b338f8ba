"""What an application of Quix Streams produces for a pipeline: rows, blocks, and days of history."""
