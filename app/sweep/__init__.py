"""Variants of settings over the same day: what is equal among them is computed once."""
