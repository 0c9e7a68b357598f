"""`python -m exporter` is `pod-exporter`."""

import sys

from exporter.cli import main

sys.exit(main())
