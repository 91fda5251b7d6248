"""`python -m bucle` is `bucle`."""

from bucle.cli import main

main()
