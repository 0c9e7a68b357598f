"""The HTTP server: scrapes, health and a landing page. It knows neither the cluster nor the metrics."""
