"""Experience that was recorded, in the format of Minari (Farama Foundation): what is in it, and how it is read.

Importing it costs no package of the extra `offline`.
"""
