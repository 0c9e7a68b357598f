"""What writes the generated files of the repository: `make docs`. Nothing here is part of the exporter."""
