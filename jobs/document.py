"""Phase 4 only, documents: `python -m jobs.document --results .../quantization_comparison.json --output X.pdf`.

It needs neither Ray nor the models. The scorecard is written to exactly the given path, in English unless `--lang`
says otherwise; with `--lang both` to `X_ja.pdf` and `X_en.pdf`. If the results are in a run
directory (`<run>/evaluation_results/...`), methodology, report and the folder with the model card go to their places
there, else beside the output; so do the page and the tables with all answers. Missing charts are drawn first.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from conf.faults import BadInput, Fault
from conf.files import exists, require_folder
from conf.schema.pipeline import Language
from jobs._arguments import fail
from jobs._parser import Parser
from jobs._terminal import complain_of_disk, say
from reporting.charts.draw import DIFFERENCE, EFFICIENCY, PERFORMANCE, draw_charts
from reporting.documents.write import DocumentPlaces, write_documents
from reporting.escape import hanging
from reporting.file_names import COMPARISON, REPORT, RESULTS_FOLDER, in_languages


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job and return the exit code: 0, 1 if the disk is full or fails, or 2 for bad input."""
    made = parser()
    options = made.parse_args(arguments)
    try:
        paths, notices = _write(options)
    except BadInput as error:
        return fail(error, made)
    except OSError as error:
        complain_of_disk(error)
        return 1
    for notice in notices:
        say(f"Notice: {hanging(notice)}")
    for path in paths:
        say(hanging(str(path)))
    return 0


def _write(options: argparse.Namespace) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    output = _output(Path(options.output))
    results = Path(options.results)
    in_run = results.resolve().parent.name == RESULTS_FOLDER
    root = results.resolve().parent.parent if in_run else output.parent
    places = replace(DocumentPlaces.of_run(root), scorecard=output)
    if not in_run:
        places = replace(places, methodology=root / places.methodology.name, report=root / REPORT)
        places = replace(places, all_answers=root / places.all_answers.name)
    names = (PERFORMANCE, EFFICIENCY, DIFFERENCE)
    charts = [one for name in names for one in in_languages(places.charts_dir / f"{name}.png", options.lang)]
    if not all(exists(path) for path in charts):
        draw_charts(results, places.charts_dir, options.lang)
    files = write_documents(results, places, options.lang, options.methodology)
    return files.paths, files.notices


def parser() -> argparse.ArgumentParser:
    """Make the command line parser."""
    made = Parser(
        prog="python -m jobs.document",
        description="Write scorecard, report, methodology, model card, and the page and tables of all answers.",
    )
    made.add_argument("--results", required=True, metavar="FILE", help=f"results: .../{COMPARISON}")
    made.add_argument("--methodology", metavar="FILE.md", help="your own text, in place of the standard methodology")
    made.add_argument("--output", required=True, metavar="FILE.pdf", help="scorecard to write")
    made.add_argument(
        "--lang", choices=get_args(Language), default="en", help="language (default en); both: X_ja and X_en"
    )
    return made


def _output(path: Path) -> Path:
    if path.suffix.lower() != ".pdf":
        raise BadInput(Fault("--output", str(path), "a file name that ends with .pdf"))
    require_folder(path.parent, "--output")
    return path


if __name__ == "__main__":
    sys.exit(main())
