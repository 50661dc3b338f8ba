"""What the rest speaks in: clocks, streams, batches, the frame layout and the wire schemas."""
