"""Settings: flags over environment variables over the YAML file named by --config.

No setting holds a secret, only paths to them, and no message quotes a value: it might be a secret in the wrong place.
"""

from exporter.settings.loading import load
from exporter.settings.model import Kube, Ledger, Log, Metrics, Settings, Web

__all__ = ["Kube", "Ledger", "Log", "Metrics", "Settings", "Web", "load"]
