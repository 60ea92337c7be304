"""Built-in manifests, one folder each: data only."""
