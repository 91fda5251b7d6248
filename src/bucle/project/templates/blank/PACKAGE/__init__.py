"""What {{name}} declares: sources, entities, features, training sets, steps, pipelines, services, monitors.

Every definition is a value at the top of a module of this package. The first is usually a source:

    @bucle.source("data/orders/*.parquet", key="order_id", timestamp="ordered_at")
    def orders(raw: pl.LazyFrame) -> pl.LazyFrame:
        return raw.filter(pl.col("amount") > 0)
"""
