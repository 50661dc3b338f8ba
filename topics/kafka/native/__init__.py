"""Messages read and written by address in librdkafka's own memory: addresses live here only."""
