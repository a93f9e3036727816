"""The console: a live web page for the desk. It shows what the stream has published, and sends commands about alerts.

It uses neither Kafka nor Redis: `streams.console` fills a `ConsoleModel` and publishes the commands.
"""
