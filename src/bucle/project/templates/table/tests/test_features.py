"""The rules of rows and label, on rows small enough to check by eye."""

import {{package}}
import polars as pl

LABELS = {{label_examples}}


def test_the_cleaning_rules_keep_every_row() -> None:
    raw = pl.LazyFrame({{{label_column}}: LABELS})
    assert {{package}}.{{source}}(raw).collect().height == len(LABELS)


def test_each_label_becomes_a_number_of_its_own() -> None:
    rows = pl.DataFrame({{{label_column}}: LABELS})
    label = rows.select(label={{package}}.examples.label.expression)["label"].cast(pl.Float64)
    assert label.n_unique() == len(LABELS) and label.null_count() == 0
