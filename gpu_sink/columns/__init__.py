"""From Arrow columns into the places of a slot: values, masks, codes and windows."""
