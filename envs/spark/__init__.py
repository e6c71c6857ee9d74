"""Executors for a stream of messages: what they cost, and how fast they keep up."""
