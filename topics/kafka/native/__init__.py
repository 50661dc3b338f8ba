"""Messages read and written by address: the one place that touches librdkafka's own structures."""
