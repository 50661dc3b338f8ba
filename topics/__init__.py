"""The Kafka edge: the bus and its two implementations, the codec, the topics as code."""
