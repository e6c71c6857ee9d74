"""Settings from layers: a preset or a saved file, more files in order, and the command line; one tree in the end.

`files` is the only place that reads a file of settings, `layers` lays one over the other as the types say, `types` holds
single values against their types, `options` shows them to the parser of the command line, `experiment` puts it together.
"""
