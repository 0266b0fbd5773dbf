"""An experiment's report as lines of text, for a terminal."""

from coaching.experiments import MEANING, Report


def lines_of(name: str, report: Report) -> str:
    lines = [f"Experiment {name}. {report.says}", ""]
    lines.append(f"{'strategy':20} {'calls':>6} {'won':>5} {'share':>7} {'uplift':>8} {'between':>16} {'evidence':>9}  so far")
    for arm in report.arms:
        share = "" if arm.share is None else f"{100 * arm.share:.0f} %"
        uplift = "" if arm.uplift is None else f"{100 * arm.uplift:+.0f}"
        bounds = (
            "" if arm.uplift_low is None or arm.uplift_high is None else f"{100 * arm.uplift_low:+.0f} and {100 * arm.uplift_high:+.0f}"
        )
        evidence = "" if arm.evidence is None else f"{arm.evidence:.2g}"
        lines.append(
            f"{arm.strategy:20} {arm.calls:6} {arm.won:5} {share:>7} {uplift:>8} {bounds:>16} {evidence:>9}  {arm.verdict.replace('_', ' ')}"
        )
    left = ", ".join(f"{count} {why.replace('_', ' ')}" for why, count in report.left_out.items() if count)
    lines.append(f"A difference may be claimed at evidence {report.needed:.0f}." + (f" Not counted: {left}." if left else ""))
    lines += ["", *(f"{strategy}: {meaning}" for strategy, meaning in MEANING.items())]
    return "\n".join(lines)
