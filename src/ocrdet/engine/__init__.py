"""What lives long and owns the device: it sees tensors, never images."""
