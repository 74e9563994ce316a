"""Commands that ask a release: what a user gets, what is like an item, what a text means."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows import console
from flows.options import HowMany, Json, Lake, ReleaseOption, Releases, Topic
from flows.settings import Settings

if TYPE_CHECKING:
    from storage.serving import Answer, Recommender

answers_app = typer.Typer()


@answers_app.command()
def recommend(
    user: Annotated[str | None, typer.Option(help="The user's id")] = None,
    history: Annotated[list[str] | None, typer.Option(help="An item somebody new has just chosen; repeatable")] = None,
    k: HowMany = 20,
    topic: Topic = None,
    source: Annotated[list[str] | None, typer.Option(help="A source to blend, all if none; repeatable")] = None,
    release: ReleaseOption = None,
    lake: Lake = None,
    releases: Releases = None,
    json: Json = False,
) -> None:
    """What a user gets from the live release, or somebody with a history and no id."""
    if (user is None) == (not history):
        raise typer.BadParameter("give either --user or --history")
    with _opened(lake, releases, release) as recommender:
        if user is not None:
            recommender.opened.snapshot.dataset.people.ids.row(user)  # a person who mistyped wants to be told
            found = recommender.recommend([user], k, condition=topic, sources=source)
            _show(recommender, found, {"user": user}, f"For user {user}", json)
        else:
            found = recommender.recommend(histories=[history or []], k=k, condition=topic, sources=source)
            asked = {"history": history, "unknown": found.unknown}
            _show(recommender, found, asked, f"After {', '.join(history or [])}", json)


@answers_app.command()
def similar(
    item: Annotated[str, typer.Option(help="The item's id")],
    k: HowMany = 20,
    topic: Topic = None,
    release: ReleaseOption = None,
    lake: Lake = None,
    releases: Releases = None,
    json: Json = False,
) -> None:
    """What is like an item, by the live release."""
    with _opened(lake, releases, release) as recommender:
        recommender.opened.snapshot.dataset.catalogue.ids.row(item)
        (own,) = _described(recommender, [item])
        found = recommender.similar([item], k, condition=topic)
        _show(recommender, found, {"item": item}, f"Like {own['title']}", json)


@answers_app.command()
def search(
    text: Annotated[str, typer.Option(help="What to look for, in words")],
    k: HowMany = 20,
    topic: Topic = None,
    release: ReleaseOption = None,
    lake: Lake = None,
    releases: Releases = None,
    json: Json = False,
) -> None:
    """What means most nearly what a text says, by the live release."""
    with _opened(lake, releases, release) as recommender:
        found = recommender.search([text], k, condition=topic)
        _show(recommender, found, {"text": text}, f"For {text!r}", json)


@contextmanager
def _opened(lake: Any, releases: str | None, release: str | None) -> Iterator["Recommender"]:
    from storage.serving import open_release

    settings = Settings.given(lake=lake, releases=releases)
    with open_release(settings.releases_uri, release, cache=settings.place.release_copies, verify="size") as found:
        yield found


def _described(recommender: "Recommender", ids: list[str]) -> list[dict[str, Any]]:
    """What people call items."""
    from storage.reader import read_display

    rows = recommender.opened.snapshot.dataset.catalogue.ids.rows(ids)
    return read_display(recommender.opened.folder, rows.tolist())


def _show(recommender: "Recommender", found: "Answer", asked: dict[str, Any], title: str, json: bool) -> None:
    shown = zip(_described(recommender, found.ids[0]), found.scores[0], strict=True)
    items = [item | {"rank": rank, "score": round(score, 5)} for rank, (item, score) in enumerate(shown, start=1)]
    if json:
        console.print_json({"release": found.release_id, **asked, "items": items})
        return
    rows = [(i["rank"], i["item_id"], i["title"], i["details"], " › ".join(i["topics"]), i["score"]) for i in items]
    columns = ("rank", "item", "title", "details", "topics", "score")
    console.print_table(f"{title} (release {found.release_id})", columns, rows)
    if found.unknown:
        console.complain("unknown", f"this release does not know {', '.join(found.unknown)}")
