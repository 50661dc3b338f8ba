"""Progress records written by hand, so that the last rows of a quiet market get out."""
