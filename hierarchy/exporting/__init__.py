"""Agents in the forms of other tools: written for them, never read again."""
