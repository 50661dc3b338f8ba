"""Sources of frames, and the feed that puts their rows one after another."""
