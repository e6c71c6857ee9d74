"""Worlds that users compose."""
