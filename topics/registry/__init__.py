"""Where schema ids come from: Confluent's protocol, or a folder."""
