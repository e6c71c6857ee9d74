"""Command line, presets and studies."""
