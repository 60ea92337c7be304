"""What an operator sees: metrics, log lines and trace context. It knows nothing of images or HTTP."""
