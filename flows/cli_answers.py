"""Commands that ask a release: what a user gets, what is like an item, what a text means."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows import console
from flows.options import HowMany, Json, Lake, ReleaseOption, Releases, Topic
from flows.settings import Settings

if TYPE_CHECKING:
    from storage.serving import Answer, Recommender
    from storage.whys import Reason

answers_app = typer.Typer()


@answers_app.command()
def recommend(
    user: Annotated[str | None, typer.Option(help="The user's id")] = None,
    history: Annotated[list[str] | None, typer.Option(help="An item somebody new has just chosen; repeatable")] = None,
    attribute: Annotated[
        list[str] | None, typer.Option(help="What is known of somebody new, as key=value; repeatable")
    ] = None,
    k: HowMany = 20,
    topic: Topic = None,
    source: Annotated[list[str] | None, typer.Option(help="A source to blend, all if none; repeatable")] = None,
    why: Annotated[bool, typer.Option("--why", help="Say why each item is there")] = False,
    release: ReleaseOption = None,
    lake: Lake = None,
    releases: Releases = None,
    json: Json = False,
) -> None:
    """What a user gets from the live release, or somebody with a history or attributes and no id."""
    if (user is None) == (not history and not attribute):
        raise typer.BadParameter("give either --user, or --history and --attribute")
    how: dict[str, Any] = {"k": k, "condition": topic, "sources": source, "why": why}
    said = dict(_key_and_value(text) for text in attribute or [])
    with _opened(lake, releases, release) as recommender:
        if user is not None:
            recommender.opened.snapshot.dataset.people.ids.row(user)  # a person who mistyped wants to be told
            _show(recommender, recommender.recommend([user], **how), {"user": user}, f"For user {user}", json)
        else:
            found = recommender.recommend(histories=[history or []], attributes=[said], **how)
            asked = {"history": history or [], "attributes": said, "unknown": found.unknown}
            title = ", ".join([*(history or []), *(attribute or [])])
            _show(recommender, found, asked, f"After {title}" if history else f"For somebody of {title}", json)


def _key_and_value(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise typer.BadParameter(f"--attribute {text!r} is no key=value")
    return key, value


@answers_app.command()
def similar(
    item: Annotated[str, typer.Option(help="The item's id")],
    k: HowMany = 20,
    topic: Topic = None,
    alpha: Annotated[
        float | None,
        typer.Option(min=0, max=100, help="Percent of the places for what is chosen together, the recipe's if none"),
    ] = None,
    head: Annotated[str | None, typer.Option(help="engagement, relevance or merged, of a source with heads")] = None,
    release: ReleaseOption = None,
    lake: Lake = None,
    releases: Releases = None,
    json: Json = False,
) -> None:
    """What is like an item, by the live release."""
    with _opened(lake, releases, release) as recommender:
        recommender.opened.snapshot.dataset.catalogue.ids.row(item)
        (own,) = _described(recommender, [item])
        found = recommender.similar([item], k, condition=topic, alpha=alpha, head=head)
        how = {name: value for name, value in {"alpha": alpha, "head": head}.items() if value is not None}
        said = "".join(f", {name} {value}" for name, value in how.items())
        _show(recommender, found, {"item": item} | how, f"Like {own['title']}{said}", json)


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
    reasons = found.reasons[0] if found.reasons else []
    if json:
        if reasons:
            items = [item | {"why": asdict(reason)} for item, reason in zip(items, reasons, strict=True)]
        console.print_json({"release": found.release_id, **asked, "items": items})
        return
    rows = [(i["rank"], i["item_id"], i["title"], i["details"], " › ".join(i["topics"]), i["score"]) for i in items]
    columns = ("rank", "item", "title", "details", "topics", "score")
    if reasons:
        titles = _titles(recommender, reasons)
        rows = [(*row[:3], *in_words(reason, titles)) for row, reason in zip(rows, reasons, strict=True)]
        columns = ("rank", "item", "title", "found by", "because of", "moved by")
    console.print_table(f"{title} (release {found.release_id})", columns, rows)
    if found.unknown:
        console.complain("unknown", f"this release does not know {', '.join(found.unknown)}")


def _titles(recommender: "Recommender", reasons: Sequence["Reason"]) -> dict[str, str]:
    """What the items of the history that are named as reasons are called."""
    ids = sorted({id_ for reason in reasons for id_ in reason.near})
    return {item["item_id"]: item["title"] for item in _described(recommender, ids)}


def in_words(reason: "Reason", titles: Mapping[str, str]) -> tuple[str, str, str]:
    """Who found an item, what of the user's own it is near to, and which policies moved it."""
    found = [f"{by.source} #{by.rank} {by.share:.0%}" for by in reason.found_by]
    near = [titles[id_] for id_ in reason.near] or reason.topics
    moved = [
        f"{by.policy} (else {f'#{by.place_without}' if by.place_without else 'not shown'})" for by in reason.moved_by
    ]
    return ", ".join(found), "; ".join(near), ", ".join(moved)
