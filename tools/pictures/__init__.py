"""Pictures of the dashboards for the docs, as SVG: their own JSON, and what a real Prometheus has seen of the demo."""
