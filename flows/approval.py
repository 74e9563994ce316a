"""A person's word on a release that the gate held: the run pauses, the Prefect UI shows the form."""

import datetime as dt
import os

from prefect import pause_flow_run
from prefect.exceptions import FlowPauseTimeout
from prefect.input import RunInput

from flows.settings import who_runs
from retrieval.errors import ReleaseError
from storage.bundle import REPORT
from tasks.publish import Published, promote_approved
from tasks.run import Night

POLL_SECONDS = 10
HOURS = 12.0
"""How long a run waits; after that the release stays held, and `lamplighter releases promote` still makes it live."""


class Approval(RunInput):
    """What the form asks."""

    approve: bool = False
    who: str = ""
    why: str = ""


def require_server() -> None:
    """Raise where nobody could answer: a temporary server ends with the command.

    Raises:
        ReleaseError: without PREFECT_API_URL.
    """
    if not os.environ.get("PREFECT_API_URL"):
        raise ReleaseError(
            "nobody can be asked: PREFECT_API_URL is not set, and a temporary server has no page for people. Start "
            "`prefect server start` and set PREFECT_API_URL, or leave --ask away."
        )


def decided_by_a_person(night: Night, held: Published) -> Published:
    """Wait for a person's answer; without one in time, or with a no, the release stays held."""
    description = f"## {held.release.id} is held\n\n{held.reason}\n\nReport: `{held.folder / REPORT}`\n"
    try:
        answer = pause_flow_run(
            wait_for_input=Approval.with_initial_data(description=description, approve=False),
            timeout=int(3600 * HOURS),
            poll_interval=POLL_SECONDS,
        )
    except FlowPauseTimeout:
        return held
    if not answer.approve:
        return held
    why = f"approved by {answer.who or 'somebody'} in the run: {answer.why or 'no reason given'}"
    return promote_approved(night, held, at=dt.datetime.now(dt.UTC), who=answer.who or who_runs(), why=why)
