"""The client of the aligned topic, for model services: frames in, Arrow batches and tensors out."""
