"""Where the results of recordings go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from streamnorm.backfill.files.containers import PACKED, plain_name
from streamnorm.backfill.findings.findings import FORMS, Form
from streamnorm.backfill.unreadable import Unreadable


def results(files: Sequence[Path], out: Path | None, form: str) -> Iterator[tuple[Path, Path | None]]:
    """Say where the result of each of `files` goes: one each if `out` is a folder, else into pieces of that file.

    `form` is that of the results, if it was said.

    Raises:
        Unreadable: it would be packed.

    """
    if out is not None and out.suffix.lower() in PACKED:
        message = f"--out {out}: results are not packed, name it {out.with_suffix('')}"
        raise Unreadable(message)
    for n, file in enumerate(files):
        if out is None:
            yield file, None
        elif _is_folder(out):
            name = plain_name(file if file.name != "-" else Path("stdin.csv"))
            ending = {"csv": ".csv", "ndjson": ".ndjson", "parquet": ".parquet"}.get(form)
            if not ending and name.suffix.lower() in {".xlsx", ".xlsm"}:
                ending = ".csv"
            yield file, out / (name.with_suffix(ending).name if ending else name.name)
        elif len(files) == 1:
            yield file, out
        else:
            yield file, piece(out, n)


def piece(out: Path, number: int) -> Path:
    """Return where a piece of a result lies until all are there."""
    return out.with_name(f"{out.stem}.{number:05}.piece{out.suffix}")


def put_together(out: Path, count: int) -> None:
    """Make one result of the pieces that are there: the head of the first, and the rows of all.

    Raises:
        Unreadable: they have different columns.

    """
    pieces = [path for n in range(count) if (path := piece(out, n)).exists()]
    if not pieces:
        return
    csv = FORMS.get(plain_name(out).suffix.lower(), "csv") == "csv"
    beside = out.with_name(out.name + ".new")
    first = b""
    with beside.open("wb") as whole:
        for path in pieces:
            with path.open("rb") as file:
                head = file.readline() if csv else b""
                if not first:
                    first = head
                    whole.write(head)
                elif head.strip() != first.strip():
                    message = f"{path} has other columns than the results before it: --out FOLDER/ writes one each"
                    raise Unreadable(message)
                while data := file.read(2**20):
                    whole.write(data)
    beside.replace(out)
    for path in pieces:
        path.unlink()


def _is_folder(out: Path) -> bool:
    return out.is_dir() or not plain_name(out).suffix


def output_form(asked: str, out: Path | None, form: Form) -> Form:
    """Return the form of the result `out`: the one `asked` for, that of its ending, or the recording's, `form`.

    Raises:
        Unreadable: what was asked for is no form.

    """
    if asked:
        if asked not in FORMS.values():
            message = f"--format: {asked!r} is none of csv, ndjson, parquet"
            raise Unreadable(message)
        return asked  # type: ignore[return-value]
    return form if out is None else FORMS.get(plain_name(out).suffix.lower(), form)
