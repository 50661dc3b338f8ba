"""Batches: slots filled, made ahead and handed over, with a state that says which rows those were."""
