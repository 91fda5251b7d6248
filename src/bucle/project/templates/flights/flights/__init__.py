"""Will a flight that leaves New York arrive more than 15 minutes late?"""

import bucle
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier


@bucle.source(
    "data/flights/*.parquet",
    key="flight_id",
    timestamp="scheduled_at",
    known_at={"dep_delay": "departed_at", "arr_delay": "arrived_at"},
)
def flights(raw: pl.LazyFrame) -> pl.LazyFrame:
    """Scheduled departures from the three airports; delays in minutes."""
    return raw.filter(pl.col("distance") > 0)


@bucle.source("data/weather/*.parquet", timestamp="observed_at")
def weather(raw: pl.LazyFrame) -> pl.LazyFrame:
    """Hourly observations at the three airports."""
    return raw


airport = bucle.Entity("airport", key="origin")


@bucle.features(airport, source=weather, ttl="3h")
def weather_now(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The last weather observed at the airport: miles an hour, miles, inches."""
    return rows.select("wind_speed", "visibility", "precipitation")


traffic = bucle.aggregates(
    airport,
    source=flights,
    at="departed_at",
    window="2h",
    mean_delay=("dep_delay", "mean"),
    departures=("flight_id", "count"),
)

delays = bucle.TrainingSet(
    spine=flights,
    columns=["carrier", "origin", "distance", "hour"],
    features=[weather_now, traffic],
    label=bucle.Label("late", pl.col("arr_delay") > 15, matures="36h"),
)


@bucle.step(cpu=2, retries=1, timeout="20m")
def fit(frame: bucle.TrainingFrame, learning_rate: float = 0.1) -> HistGradientBoostingClassifier:
    """Gradient boosting on all columns of the frame."""
    model = HistGradientBoostingClassifier(learning_rate=learning_rate, random_state=frame.seed)
    return model.fit(frame.X, frame.y)


@bucle.pipeline(model="delay", triggers=[bucle.on_degradation(retrain_cost=300)])
def train_delay(window: str = "90d", learning_rate: float = 0.1) -> bucle.Evaluation:
    """Train on `window`, judge on the fortnight after it."""
    past, recent = delays.split(window=window, holdout="14d")
    return bucle.evaluate(fit(past, learning_rate), recent, slices=["origin"])


delay = bucle.Service("delay", model="delay", key="flight_id")
watch = bucle.Monitor(delay, false_pages_per_month=1)
