"""The pages that a newcomer reads, played as they stand."""
