"""pod-exporter: remembers what happened to Kubernetes pods and tells Prometheus."""

__version__ = "0.1.0"
