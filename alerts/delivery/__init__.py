"""Delivery of alerts: channels, the text of notifications, and the log of them in Redis."""
