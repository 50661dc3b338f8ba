"""What is raised for a message that is no frame."""


class FrameError(ValueError):
    """A message is not a frame, or not of the expected layout; the text says why."""
