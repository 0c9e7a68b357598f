"""From records and observations to Prometheus series: per pod as ready bytes, per workload as accounts."""
