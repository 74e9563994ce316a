"""What the orchestrator shows of a night: key figures and links, beside the run."""

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from storage.bundle import REPORT
from storage.reader import read_scores
from storage.releases import Release
from tasks.ingest import Ingested
from tasks.run import stage


@stage("announce", minutes=5)
def announce(release: Release, is_live: bool, ingested: Ingested) -> None:
    """Leave the night's key figures as artifacts of the run."""
    rows = [entry for entry in ingested.counts if entry.kind == "events"]
    landed, loaded, refused = (sum(getattr(entry, name) for entry in rows) for name in ("landed", "loaded", "refused"))
    verdict = "is live" if is_live else "was kept, not made live"
    create_markdown_artifact(
        key="night",
        description=f"Night of {release.day}",
        markdown=(
            f"## {release.day}: release `{release.id}` {verdict}\n\n"
            f"Events landed {landed:,}, loaded {loaded:,}, refused {refused:,}.\n\n"
            f"Report: `{release.folder / REPORT}`\n"
        ),
    )
    create_table_artifact(
        key="quality",
        description=f"Recall on {release.day}, held out",
        table=[
            {
                "source": score["source"],
                "pairs": score["pairs"],
                "recall@10": round(score["recall_at_10"]["mean"], 4),
                "recall@100": round(score["recall_at_100"]["mean"], 4),
                "nDCG@10": round(score["ndcg_at_10"]["mean"], 4),
                "coverage@100": round(score["coverage_at_100"], 4),
            }
            for score in read_scores(release.folder)
        ],
    )
