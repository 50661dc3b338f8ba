"""What is wrong with the rows of a day: bad ticks, gaps, silences, clocks; nothing here looks ahead."""
