"""The rules of the features, on rows small enough to check by eye."""

import flights
import polars as pl


def test_flights_without_a_distance_are_dropped() -> None:
    raw = pl.LazyFrame({"flight_id": ["a", "b"], "distance": [0, 1400]})
    assert flights.flights(raw).collect()["flight_id"].to_list() == ["b"]


def test_weather_now_keeps_the_three_measurements() -> None:
    rows = pl.LazyFrame({"origin": ["JFK"], "wind_speed": [9.2], "visibility": [10.0], "precipitation": [0.0], "humidity": [59.0]})
    assert flights.weather_now(rows).collect().columns == ["wind_speed", "visibility", "precipitation"]


def test_late_means_more_than_fifteen_minutes() -> None:
    rows = pl.DataFrame({"arr_delay": [15, 16, None]})
    assert rows.select(late=flights.delays.label.expression)["late"].to_list() == [False, True, None]
