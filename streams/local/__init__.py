"""Broker, Redis, worker and console as child processes on this machine."""
