"""The second judge: aligned rows checked by a join that shares nothing with the worker's."""
