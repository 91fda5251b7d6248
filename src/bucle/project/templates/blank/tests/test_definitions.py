"""The project's definitions."""

import {{package}}


def test_the_definitions_can_be_imported() -> None:
    assert {{package}}.__doc__
