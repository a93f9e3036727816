"""The running stream: transport, tables, clients, metrics, and the command line that composes all packages."""

__version__ = "0.1.0"
