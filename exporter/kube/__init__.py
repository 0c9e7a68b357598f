"""The way to the API server: credentials, one session, and a reflector for each resource that never gives up."""
