"""What is done offline around the detector; the service never imports it."""
