"""A server that capabilities mount routes on: limits, errors and batching are shared, what is served is theirs."""
