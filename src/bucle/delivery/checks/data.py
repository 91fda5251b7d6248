"""The check `data`: the sources of test are there, are what their schemas say, and nothing leaks from the future."""

from bucle.data import (
    DataRefused,
    DatasetVersion,
    ValidationReport,
    current_versions,
    examine,
    ingest,
    read_report,
    source_specs,
    validate,
)
from bucle.delivery.checks.check import Bench
from bucle.delivery.results import Finding, Verdict, failed, passed, skipped
from bucle.errors import BucleError, RemoteError


def check_data(bench: Bench) -> Verdict:
    """Ingest what is new by this commit's rules and judge what validation and the search for leaks found (G1-dv)."""
    findings: list[Finding] = []
    warnings, rows = 0, 0
    names = [spec.name for spec in source_specs(bench.code)]
    for name in names:
        try:
            report = _report(bench, name)
        except (BucleError, RemoteError) as error:
            findings.append(Finding(f"{name}: {error.code}: {error.text}", error.where, error.next_step))
            continue
        rows += report.rows
        findings += [
            Finding(f"{name}: {each.message}", each.where, "Correct the rules, the data, or review the schema.")
            for each in report.findings
            if each.kind == "schema"
        ]
        warnings += sum(each.kind == "value" for each in report.findings)
    if findings:
        return failed(findings)
    if not names:
        return skipped("the project declares no source")
    noted = f", {warnings} warnings about values" if warnings else ""
    return passed(f"{len(names)} sources, {rows} rows{noted}")


def _report(bench: Bench, name: str) -> ValidationReport:
    """What is there already is judged anew: other training sets of this commit may leak what others did not."""
    where = (bench.home, bench.artifacts, bench.runners, bench.code, bench.scope, name)
    with bench.home.ledger.read() as reader:
        held = current_versions(reader, bench.scope).get(name)
    try:
        version: DatasetVersion = ingest(*where)
    except DataRefused:
        return validate(*where)
    bench.versions[name] = version.id
    if held is not None and held.id == version.id:
        return examine(bench.home, bench.runners, bench.code, bench.scope, version)
    return read_report(bench.artifacts, version)
