"""What a push prints: its plan before, and what came of it."""

from __future__ import annotations

from pipeline.release.push.ledger import Target
from pipeline.release.push.pushing import Outcome, Outlook, Wish


def outlook_lines(outlook: Outlook, target: Target, wish: Wish) -> list[str]:
    """A dry run, line by line: what each commit would add and delete, and what stays as it is."""
    seen, plan = outlook.seen, outlook.plan
    state = "would be made" if seen is None else "private" if seen.private else "public"
    after = ", public at the end" if wish.public and not (seen and not seen.private) else ""
    lines = [f"{target.repo} at {target.endpoint}, branch {target.branch}: {state}{after}"]
    for number, commit in enumerate(plan.commits, 1):
        lines.append(
            f"commit {number} of {len(plan.commits)}: {len(commit.add)} files to add or replace, "
            f"{commit.bytes:,} bytes; {len(commit.delete)} to delete"
        )
        lines += [f"  delete {path}" for path in commit.delete]
        lines += [f"  add    {file.path} ({file.bytes:,} bytes)" for file in commit.add]
    if not plan.commits:
        lines.append("nothing to commit: everything is there")
    lines.append(f"as they are: {plan.unchanged} files")
    if plan.foreign:
        lines.append(f"left alone, not of a release: {', '.join(plan.foreign[:10])}{' …' * (len(plan.foreign) > 10)}")
    if wish.squash:
        lines.append("then: one commit in place of the history, and large files deleted that it does not need")
    if wish.tag:
        lines.append(f"then: tag {wish.tag}")
    lines.append("nothing was sent: this was a dry run")
    return lines


def outcome_lines(outcome: Outcome, target: Target) -> list[str]:
    """What a push did, line by line."""
    lines = []
    if outcome.commits == 0:
        lines.append(f"{target.repo}: nothing to commit, everything is there")
    else:
        commits = "1 commit" if outcome.commits == 1 else f"{outcome.commits} commits"
        lines.append(
            f"{target.repo}: {commits}, {outcome.sent} files uploaded ({outcome.sent_bytes / 1e6:,.1f} MB), "
            f"{outcome.deleted} deleted, {outcome.unchanged} as they were"
        )
    if outcome.squashed:
        lines.append(f"history: one commit; {outcome.unused} large files that it does not need deleted for good")
    lines += outcome.remarks
    lines.append(f"load it: datasets.load_dataset({target.repo!r}, revision={outcome.head!r})")
    return lines
