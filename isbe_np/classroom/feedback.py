"""A report for its reader: the student (Markdown, HTML), the terminal, the class's table (CSV, HTML), Gradescope (JSON).

Whatever a submission could have written passes through `safe.py` here. The seed is in none of them: who knew it could hand in
the answers to the cases that come.
"""

from __future__ import annotations

import csv
import html
import io

from isbe_np.classroom.grading import Outcome, Report, TaskReport
from isbe_np.classroom.safe import cell, fenced, line, markdown, plain

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
pre { overflow-x: auto; padding: .6rem .8rem; white-space: pre-wrap; }
pre { background: color-mix(in srgb, currentColor 7%, transparent); }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.passed::before { content: "✓ "; color: #009e73; } .failed::before { content: "✗ "; color: #d55e00; }
li { margin: .5rem 0; list-style: none; } ul { padding-left: 0; } small { opacity: .75; }
""".strip()


def points(number: float) -> str:
    """Points without a needless ".0"."""
    return f"{number:g}"


def _of(what: Report | TaskReport) -> str:
    return f"{points(what.score)} / {points(what.points)}"


def _told(check: Outcome) -> str:
    """What went wrong, and for what."""
    return "\n".join(part for part in (check.arguments, check.message) if part)


def _race(task: TaskReport) -> str:
    return "" if task.race is None else f"Leaderboard: {task.race * 1e6:,.0f} µs a call (median, with the way there and back)."


def text(report: Report) -> str:
    """For a terminal: a line for each check, and below it what was wrong."""
    lines = [f"{report.assignment}: {report.title}"]
    for task in report.tasks:
        lines.append(f"\n{task.number} {task.function}: {_of(task)}")
        for check in task.checks:
            lines.append(f"  {'passed' if check.passed else 'FAILED'}  {check.name} ({points(check.points)})")
            if not check.passed:
                lines += [f"          {part}" for part in plain(_told(check)).splitlines()]
                lines += [f"          Hint: {check.hint}"] if check.hint else []
        lines += [f"  {_race(task)}"] if task.race is not None else []
    if report.printed.strip():
        lines += ["\nPrinted by the file", *(f"  {part}" for part in report.printed.splitlines()[:20])]
    return "\n".join([*lines, f"\n{_of(report)} points"])


def as_markdown(report: Report, student: str) -> str:
    """A student's feedback as Markdown."""
    parts = [f"# {report.assignment}, {markdown(report.title)}: {_of(report)}", f"Student: {markdown(student)}"]
    if report.fault:
        parts.append(f"**Not graded:** {markdown(report.fault)}")
    for task in [] if report.fault else report.tasks:
        parts.append(f"## {task.number} `{task.function}`: {_of(task)}")
        for check in task.checks:
            parts.append(f"**{'Passed' if check.passed else 'Failed'}: {markdown(check.name)}** "
                         f"({points(check.score)} of {points(check.points)})")
            if not check.passed:
                parts.append(fenced(_told(check)))
                parts += [f"Hint: {markdown(check.hint)}"] if check.hint else []
        parts += [_race(task)] if task.race is not None else []
    if report.printed.strip():
        parts += ["## What your file printed", fenced(report.printed)]
    return "\n\n".join([*parts, "---", markdown(_footer(report))]) + "\n"


def _footer(report: Report) -> str:
    return f"Graded in {report.seconds:.1f} s." + (f" Isolation {report.isolation}." if report.isolation else "")


def as_html(report: Report, student: str) -> str:
    """The same as a page of HTML without scripts."""
    def e(text: str) -> str:
        return html.escape(plain(text))

    body = [f"<h1>{e(report.assignment)}, {e(report.title)}: {_of(report)}</h1><p>{e(line(student))}</p>"]
    if report.fault:
        body.append(f"<p><strong>Not graded:</strong> {e(report.fault)}</p>")
    for task in [] if report.fault else report.tasks:
        body.append(f"<h2>{e(task.number)} <code>{e(task.function)}</code>: {_of(task)}</h2><ul>")
        for check in task.checks:
            hint = f"<p>Hint: {e(check.hint)}</p>" if check.hint else ""
            told = "" if check.passed else f"<pre>{e(_told(check))}</pre>{hint}"
            body.append(f"<li><span class=\"{'passed' if check.passed else 'failed'}\">{e(check.name)}</span> "
                        f"({points(check.score)} of {points(check.points)}){told}</li>")
        body.append("</ul>" + (f"<p>{_race(task)}</p>" if task.race is not None else ""))
    if report.printed.strip():
        body.append(f"<h2>What your file printed</h2><pre>{e(report.printed)}</pre>")
    body.append(f"<p><small>{e(_footer(report))}</small></p>")
    return _page(f"{report.assignment}: {line(student)}", "\n".join(body))


def _page(title: str, body: str) -> str:
    return (f"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{html.escape(title)}</title>\n"
            "<meta name=\"viewport\" content=\"width=device-width\">\n"
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
            f"<style>{STYLE}</style></head><body>\n{body}\n</body></html>\n")


HEADER = ("student", "file", "score", "of")


def class_csv(rows: list[tuple[str, str, Report]]) -> str:
    """The class as a table: (student, file, report) in rows; a column for each task."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    numbers = [task.number for task in rows[0][2].tasks] if rows else []
    writer.writerow([*HEADER, *numbers, "incidents", "look at", "not graded", "seconds", "isolation"])
    for student, file, report in rows:
        remarks = ("; ".join(report.incidents), cell("; ".join(report.flags)), cell(report.fault))
        writer.writerow([cell(student), cell(file), points(report.score), points(report.points),
                         *(points(task.score) for task in report.tasks), *remarks, f"{report.seconds:.1f}",
                         report.isolation.partition(":")[0]])
    return out.getvalue()


def class_html(rows: list[tuple[str, str, Report]], links: list[str]) -> str:
    """The same as a page, with a link to each student's feedback, and how often each check failed."""
    report = rows[0][2]
    head = "".join(f"<th class=\"number\">{html.escape(task.number)}</th>" for task in report.tasks)
    body = [f"<h1>{html.escape(report.assignment)}, {html.escape(report.title)}</h1><p>{len(rows)} submissions, mean "
            f"{points(round(sum(r.score for _, _, r in rows) / len(rows), 2))} of {points(report.points)} points.</p>",
            f"<table><tr><th>student</th><th class=\"number\">score</th>{head}<th>incidents, and what to look at</th></tr>"]
    for (student, _, r), link in zip(rows, links, strict=True):
        cells = "".join(f"<td class=\"number\">{points(task.score)}</td>" for task in r.tasks)
        remarks = "; ".join([*r.incidents, *r.flags])
        body.append(f"<tr><td><a href=\"{html.escape(link)}\">{html.escape(line(student))}</a></td><td class=\"number\">"
                    f"{points(r.score)}</td>{cells}<td>{html.escape(remarks)}</td></tr>")
    body.append("</table><h2>Which checks failed how often</h2><table><tr><th>task</th><th>check</th>"
                "<th class=\"number\">failed</th></tr>")
    for k, task in enumerate(report.tasks):
        for j, check in enumerate(task.checks):
            failed = sum(not r.tasks[k].checks[j].passed for _, _, r in rows)
            what = html.escape(f"{task.number} {task.function}")
            body.append(f"<tr><td>{what}</td><td>{html.escape(check.name)}</td><td class=\"number\">{failed}</td></tr>")
    return _page(f"{report.assignment}: the class", "\n".join([*body, "</table>"]))


def leaderboard_csv(rows: list[tuple[str, str, Report]]) -> str:
    """For each task with a race, the students whose answers were right, the fastest first."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["task", "place", "student", "microseconds a call"])
    times: dict[str, list[tuple[float, str]]] = {}
    for student, _, report in rows:
        for task in report.tasks:
            if task.race is not None:
                times.setdefault(task.number, []).append((task.race, student))
    for number, board in times.items():
        for place, (seconds, student) in enumerate(sorted(board), 1):
            writer.writerow([number, place, cell(student), f"{seconds * 1e6:.1f}"])
    return out.getvalue()


def gradescope(report: Report, visibility: str = "visible") -> dict:
    """Gradescope's results.json: a test for each check, all text plain."""
    tests = [{"name": f"{task.number} {task.function}: {check.name}", "number": f"{task.number}.{k}", "score": check.score,
              "max_score": check.points, "status": "passed" if check.passed else "failed", "visibility": visibility,
              "output_format": "text", "tags": [task.function],
              "output": "" if check.passed else plain(_told(check)) + (f"\nHint: {check.hint}" if check.hint else "")}
             for task in report.tasks for k, check in enumerate(task.checks, 1)]
    boards = [{"name": f"{task.function}, µs a call", "value": round(task.race * 1e6, 1), "order": "asc"}
              for task in report.tasks if task.race is not None]
    return {"score": report.score, "execution_time": round(report.seconds, 2), "output_format": "text",
            "visibility": visibility, "stdout_visibility": "hidden",
            "output": plain(report.fault or _footer(report)), "tests": tests,
            **({"leaderboard": boards} if boards else {}),
            "extra_data": {"incidents": report.incidents, "look_at": report.flags, "isolation": report.isolation}}
