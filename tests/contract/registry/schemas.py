"""Two Avro schemas for registries to hold."""

import json

TRADE = json.dumps({"type": "record", "name": "Trade", "fields": [{"name": "event_ns", "type": "long"}]})

QUOTE = json.dumps({"type": "record", "name": "Quote", "fields": [{"name": "event_ns", "type": "long"}]})
