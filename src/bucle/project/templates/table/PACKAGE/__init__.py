"""Predict {{label}} for a row of {{file}}."""

import bucle
import polars as pl
from sklearn.ensemble import {{estimator}}


@bucle.source("data/{{source}}/*.parquet", key={{key}}, timestamp={{time}})
def {{source}}(raw: pl.LazyFrame) -> pl.LazyFrame:
    """{{rows}} rows of {{file}}; the cleaning rules go here.{{moments}}"""
    return raw


# A column that is known only some time after its row, such as an outcome, belongs into `known_at` of the source:
# known_at={"outcome": "column with the moment of the outcome"}. Then no feature can see it too early.
examples = bucle.TrainingSet(
    spine={{source}},
    columns=[{{columns}}],{{left_out}}
    features=[],
    label=bucle.Label(
        {{label_name}},
        {{label_expression}},
        matures="0h",
    ),
)


@bucle.step
def fit(frame: bucle.TrainingFrame, learning_rate: float = 0.1) -> {{estimator}}:
    """Gradient boosting on all columns of the frame; missing values are fine."""
    model = {{estimator}}(learning_rate=learning_rate, random_state=frame.seed)
    return model.fit(frame.X, frame.y)


@bucle.pipeline(model="{{model}}")
def train(window: str = "{{window}}", holdout: str = "{{holdout}}", learning_rate: float = 0.1) -> bucle.Evaluation:
    """Learn from `window`, judge on the `holdout` after it."""
    past, recent = examples.split(window=window, holdout=holdout)
    return bucle.evaluate(fit(past, learning_rate), recent)


service = bucle.Service("{{model}}", model="{{model}}", key={{key}})
watch = bucle.Monitor(service, false_pages_per_month=1)
