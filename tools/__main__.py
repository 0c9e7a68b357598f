"""`python -m tools` writes every generated file anew."""

from __future__ import annotations

from tools.generated import FILES

for path, text in FILES.items():
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text())
