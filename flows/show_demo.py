"""What the demo did, as people read it and as plain values for machines."""

from dataclasses import asdict
from typing import Any

from flows import console
from flows.demo import DemoResult
from flows.nightly import NightResult
from flows.show import night_as_json, show_night
from flows.show_backfill import backfill_as_json, show_backfill
from storage.reader import named, read_display, read_snapshot


def demo_as_json(result: DemoResult) -> dict[str, Any]:
    """The demo: what was imported, the history and the three nights."""
    return {
        "imported": asdict(result.imported),
        "history": backfill_as_json(result.history),
        "nights": [night_as_json(night) for night in result.nights],
    }


def show_demo(result: DemoResult) -> None:
    """What the demo did, and what one household would get."""
    imported = result.imported
    console.out.rule("Nine months of history")
    console.out.print(
        f"landed    {imported.n_events:,} events of {imported.n_users:,} households, {imported.n_items:,} products"
    )
    show_backfill(result.history)
    for night in result.nights:
        show_night(night)
    _show_one_household(result.nights[-1])


def _show_one_household(night: NightResult) -> None:
    recommender, folder = read_snapshot(night.folder), night.folder
    histories = recommender.dataset.histories
    user = int((histories.offsets[1:] - histories.offsets[:-1]).argmax())
    (household,) = recommender.dataset.people.ids.names([user])
    newest = list(dict.fromkeys(histories.items[histories.offsets[user] : histories.offsets[user + 1]][::-1].tolist()))[
        :8
    ]
    found = recommender.recommend([household], 8).items[0]
    pairs = zip(read_display(folder, newest), read_display(folder, found.tolist()), strict=False)
    console.print_table(
        f"Household {household}: lamplighter recommend --user {household}",
        ("bought last", "would get"),
        [(named(bought), named(gets)) for bought, gets in pairs],
    )
    (item,) = recommender.dataset.catalogue.ids.names([newest[0]])
    alike = recommender.similar([item], 8).items[0]
    (own,) = read_display(folder, [newest[0]])
    console.print_table(
        f"Like {own['title']}: lamplighter similar --item {item}",
        ("item", "title"),
        [(entry["item_id"], named(entry)) for entry in read_display(folder, alike.tolist())],
    )
    console.out.print(f"Open the report: {night.report}", soft_wrap=True)
