"""The console: a live web page for the desk. It shows what the stream has published, and sends what people say of it.

It knows nothing of Kafka or Redis: `streams.console` fills a `ConsoleModel` and takes the commands.
"""
