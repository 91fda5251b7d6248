"""Packaging: a fitted estimator as bytes that are parsed, audited and only then constructed. Never pickle."""

from bucle.registry.packaging.audit import audit
from bucle.registry.packaging.construct import construct
from bucle.registry.packaging.dump import dump_model, load_model
from bucle.registry.packaging.parse import Parsed, parse
from bucle.registry.packaging.protocol import PROTOCOL

__all__ = ["PROTOCOL", "Parsed", "audit", "construct", "dump_model", "load_model", "parse"]
