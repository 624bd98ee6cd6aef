"""Phase 4 only, charts: `python -m jobs.visualize --results .../quantization_comparison.json --output X.png`.

It needs neither Ray nor the models: everything is drawn from the results folder. The performance chart is written to
exactly the given path (PNG, with SVG and Vega-Lite specification beside it), the other charts to the same folder. With
`--lang both` every chart is written twice: `X_ja.png` and `X_en.png`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from conf.faults import BadInput, Fault
from conf.files import require_folder
from conf.schema.pipeline import Language
from jobs._arguments import fail
from jobs._parser import Parser
from jobs._terminal import complain_of_disk, say
from reporting.charts.draw import draw_charts
from reporting.escape import hanging
from reporting.file_names import COMPARISON


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job and return the exit code: 0, 1 if the disk is full or fails, or 2 for bad input."""
    made = parser()
    options = made.parse_args(arguments)
    try:
        output = _output(Path(options.output))
        files = draw_charts(options.results, output.parent, options.lang, output.stem, plain_bars=options.plain_bars)
    except BadInput as error:
        return fail(error, made)
    except OSError as error:
        complain_of_disk(error)
        return 1
    for notice in files.notices:
        say(f"Notice: {hanging(notice)}")
    for path in files.paths:
        say(hanging(str(path)))
    return 0


def parser() -> argparse.ArgumentParser:
    """Make the command line parser."""
    made = Parser(prog="python -m jobs.visualize", description="Draw the charts for a results folder.")
    made.add_argument("--results", required=True, metavar="FILE", help=f"results: .../{COMPARISON}")
    made.add_argument(
        "--output",
        required=True,
        metavar="FILE.png",
        help="performance chart; the others go to the same folder",
    )
    made.add_argument(
        "--plain-bars",
        action="store_true",
        help="show 1.96 sigma/sqrt(n) in the performance chart, in place of the intervals of the statistics",
    )
    made.add_argument(
        "--lang",
        choices=get_args(Language),
        default="en",
        help="language (default en); both: each chart once in Japanese and once in English, as *_ja and *_en",
    )
    return made


def _output(path: Path) -> Path:
    if path.suffix.lower() not in (".png", ".svg"):
        raise BadInput(Fault("--output", str(path), "a file name that ends with .png", "Its SVG is written beside it."))
    require_folder(path.parent, "--output")
    return path


if __name__ == "__main__":
    sys.exit(main())
