"""Telling people: channels, the words, and a log in Redis that knows what was told to whom."""
