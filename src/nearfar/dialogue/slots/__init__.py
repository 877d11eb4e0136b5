"""Numbers, times, names and other slots in utterances."""
