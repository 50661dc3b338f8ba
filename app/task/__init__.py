"""A task: one partition number of all inputs, from a block's share to rows that wait or go out as letters."""
