"""The options that commands share."""

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

Lake = Annotated[Path | None, typer.Option(help="Root folder of all state [env: LAMPLIGHTER_LAKE; default ./lake]")]
Landing = Annotated[
    str | None, typer.Option(help="Folder or URI where days land [env: LAMPLIGHTER_LANDING; default <lake>/landing]")
]
Releases = Annotated[
    str | None,
    typer.Option(help="Folder or s3://bucket/prefix of releases [env: LAMPLIGHTER_RELEASES; default <lake>/releases]"),
]
RecipeOption = Annotated[
    str | None,
    typer.Option(help="A recipe's file, or the name of one in deployments/recipes [env: LAMPLIGHTER_RECIPE]"),
]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON document on standard output")]
Day = Annotated[dt.datetime, typer.Option(formats=["%Y-%m-%d"], help="A UTC date, YYYY-MM-DD")]
HowMany = Annotated[int, typer.Option("-k", min=1, max=1000, help="How many items")]
ReleaseOption = Annotated[str | None, typer.Option(help="A release's id [default: the live one]")]
Topic = Annotated[str | None, typer.Option(help="Show items of this topic alone")]
ReleaseId = Annotated[str | None, typer.Argument(metavar="ID", help="A release's id [default: the live one]")]
