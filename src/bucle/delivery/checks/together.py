"""One verdict on several services of a commit."""

from collections.abc import Sequence

from bucle.delivery.results import Verdict, failed, passed, skipped


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """Return one verdict: failed when one failed, passed when one passed and none failed, with what each says."""
    findings = [finding for each in verdicts for finding in each.findings]
    if findings:
        return failed(findings)
    message = "; ".join(each.message for each in verdicts)
    return passed(message) if any(each.outcome == "passed" for each in verdicts) else skipped(message)
