"""Alerts: rules, lifecycle, evidence and delivery. Signals come in as objects; only delivery uses Redis and HTTP."""
