"""Pure functions, pixels in, numbers out: no threads, no settings, no metrics, no models."""
