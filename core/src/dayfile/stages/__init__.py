"""From bytes to records in stages: frames, columns, times, records. No stage knows the one that follows."""
