"""The console: a live web page for the desk. It shows what the stream has published, and says what people say of alerts.

It knows nothing of Kafka or Redis: `streams.console` fills a `Book` and takes the commands.
"""
