"""The number of the package format.

1: a zip file, stored without compression, with `bucle.json` ({"format": "skops", "protocol": 1}), the skops schema
   `schema.json` in canonical form, and arrays named by their content.

Raise it when a reader of today could not read, or would misread, what is written from then on. Then keep the parser of
the old form beside the new one and enter both into `parse.READERS`; a version that was registered must load for as long
as its runtime does.
"""

PROTOCOL = 1
HEADER = "bucle.json"
