"""The command `kamisuki push`."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Annotated, Any

import typer

from pipeline.errors import UsageError
from pipeline.events import STANDARD_OUTPUT, LogJson
from pipeline.storage.places import as_place, writable


def add_push_command(app: typer.Typer, console: Any) -> None:
    """Add the command to the command line; `console` makes what it prints on."""

    @app.command()
    def push(
        release: Annotated[Any, typer.Argument(parser=as_place, help="The folder or s3:// prefix of a release.")],
        repo: Annotated[str, typer.Option("--repo", help="The dataset repository: owner/name.")],
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")] = False,
        public: Annotated[bool, typer.Option("--public", help="Let everybody see it, at the end.")] = False,
        yes: Annotated[bool, typer.Option("--yes", help="Do not ask before everybody may see it.")] = False,
        branch: Annotated[str, typer.Option("--branch", help="The branch to push to.")] = "main",
        tag: Annotated[str | None, typer.Option("--tag", help="Name the last commit: v1.")] = None,
        squash: Annotated[
            bool, typer.Option("--squash-history", help="Leave one commit, and delete what older ones held.")
        ] = False,
        drop_refs: Annotated[
            bool, typer.Option("--drop-refs", help="When squashing, delete tags and other branches too.")
        ] = False,
        replace: Annotated[
            bool, typer.Option("--replace", help="Replace what is no earlier push of this release.")
        ] = False,
        endpoint: Annotated[
            str | None, typer.Option("--endpoint", help="The Hub's address; else HF_ENDPOINT, else huggingface.co.")
        ] = None,
        commit_files: Annotated[int, typer.Option("--commit-files", min=1, help="Most files of a commit.")] = 100,
        commit_gb: Annotated[float, typer.Option("--commit-gb", min=0.001, help="Most GB of a commit.")] = 50.0,
        log_json: LogJson = None,
    ) -> None:
        """Push a release to the Hugging Face Hub: only what is not there, in few commits."""
        from pipeline.progress import human_seconds
        from pipeline.release.manifest import read_manifest
        from pipeline.release.push.contents import refuse_mixed
        from pipeline.release.push.ledger import Target
        from pipeline.release.push.patience import ASKING, HUB, Patience
        from pipeline.release.push.plan import Limits
        from pipeline.release.push.pushing import Push, Wish
        from pipeline.release.push.repository import check_repo, hub_endpoint, hub_token, quiet_client
        from pipeline.release.push.shown import outcome_lines, outlook_lines
        from pipeline.release_lock import held
        from pipeline.telling import open_progress, told

        if drop_refs and not squash:
            raise UsageError("--drop-refs goes with --squash-history: tags and branches are deleted for nothing else")
        started = time.monotonic()
        progress = open_progress(None, log_json)
        printed = console(stderr=log_json == STANDARD_OUTPUT)
        with told(progress, "push", None, release):
            refuse_mixed(release)
            read_manifest(release)
            target = Target(hub_endpoint(endpoint), check_repo(repo), branch)
            limits = Limits(commit_files, int(commit_gb * 1e9))
            wish = Wish(public, replace, tag, squash, drop_refs, limits)
            patience = Patience(progress.say, ASKING if dry_run else HUB)
            # A build or a takedown must not change what is being sent; a dry run writes nothing, not even a lock.
            with nullcontext(lambda: None) if dry_run else held(release) as still_held, quiet_client():
                job = Push(writable(release), target, hub_token(), wish, progress.say, patience, still_held)
                if dry_run:
                    for line in outlook_lines(job.outlook(), target, wish):
                        printed.print(line, soft_wrap=True)
                    return
                if public and not yes:
                    typer.confirm(f"Everybody will see {release} as {repo} at {target.endpoint}. Push it?", abort=True)
                outcome = job.execute()
        for line in outcome_lines(outcome, target):
            printed.print(line, soft_wrap=True)
        printed.print(f"took {human_seconds(time.monotonic() - started)}")
