"""``evsession serve``: the embedded server on a port."""

from __future__ import annotations

import click
import trio

from evsession.errors import SessionError

__all__ = ["serve"]


@click.command()
@click.option("--data", type=click.Path(dir_okay=False), help="The file of the documents, made if missing. Without it: memory.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen. There is no login.")
def serve(data: str | None, port: int, host: str) -> None:
    """Serve documents by RavenDB's HTTP API until SIGTERM or Ctrl-C."""
    try:
        from evsession.embedded.serve import serve as run
    except ImportError as error:
        raise click.ClickException(f"serving needs the package {error.name}: pip install 'evsession[embedded]'") from error

    async def run_until_stopped() -> None:
        await run(data, host=host, port=port, tell=lambda url: click.echo(f"serving {data or 'memory'} on {url}"))

    try:
        trio.run(run_until_stopped)
    except SessionError as error:
        raise click.ClickException(error.message) from error
