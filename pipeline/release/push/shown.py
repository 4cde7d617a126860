"""What a push prints: its plan before, and what came of it."""

from __future__ import annotations

from pipeline.release.push.ledger import Target
from pipeline.release.push.pushing import Outcome, Outlook, Wish
from pipeline.wording import counted


def outlook_lines(outlook: Outlook, target: Target, wish: Wish) -> list[str]:
    """A dry run, line by line: what each commit would add and delete, and what stays as it is."""
    seen, plan = outlook.seen, outlook.plan
    state = "would be made" if seen is None else "private" if seen.private else "public"
    after = ", public at the end" if wish.public and not (seen and not seen.private) else ""
    lines = [f"{target.repo} at {target.endpoint}, branch {target.branch}: {state}{after}"]
    for number, commit in enumerate(plan.commits, 1):
        lines.append(
            f"commit {number} of {len(plan.commits)}: {counted(len(commit.add), 'file')} to add or replace, "
            f"{counted(commit.bytes, 'byte')}; {len(commit.delete)} to delete"
        )
        lines += [f"  delete {path}" for path in commit.delete]
        lines += [f"  add    {file.path} ({file.bytes:,} bytes)" for file in commit.add]
    if not plan.commits:
        lines.append("nothing to commit: everything is there")
    lines.append(f"as they are: {counted(plan.unchanged, 'file')}")
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
        lines.append(
            f"{target.repo}: {counted(outcome.commits, 'commit')}, {counted(outcome.sent, 'file')} uploaded "
            f"({outcome.sent_bytes / 1e6:,.1f} MB), "
            f"{outcome.deleted} deleted, {outcome.unchanged} as they were"
        )
    if outcome.squashed:
        lines.append(
            f"history: one commit; {counted(outcome.unused, 'large file')} without a use in it deleted for good"
        )
    lines += outcome.remarks
    lines.append(f"load it: datasets.load_dataset({target.repo!r}, revision={outcome.head!r})")
    return lines
