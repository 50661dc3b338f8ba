"""Arrow frames: what another pipeline has sealed, read as a stream with its frontier as progress."""
