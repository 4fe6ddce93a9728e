"""Finding what the triggers could not see: comparing source, store and cache with one another."""
