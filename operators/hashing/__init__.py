"""The hash of a row and the parity of a partition: two proofs that rows are equal."""
